/* Counts of float64 values in the cells between increasing edges, with what else a profile needs, in one pass.
 *
 * A value's cell is the number of edges at or below it. A monotone map takes values to buckets; the edges that fall
 * into lower buckets are below every value of a bucket, so that a table gives a first candidate and only the edges of
 * the same bucket are compared. Whatever the map rounds, the result is exact, because edges and values go through the
 * same map. Two maps are tried, linear and by the order-preserving bit pattern (for tails), and the one with fewer
 * edges in its fullest bucket is taken. Nothing branches on data, and a tile of values goes through every step before
 * the next one does.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FEW 512 /* edges up to which a small table, which leaves the nearest cache to others, does */
#define BUCKETS_OF(count) ((count) > FEW ? 8192 : 2048)
#define UNROLLED 4 /* edges in a bucket up to which the comparisons are unrolled */

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

typedef struct {
  int64_t finite, negative_infinities, below, above;
  double sum, square_sum; /* of finite values, after the shift */
  double minimum, maximum; /* of values that are neither NULL nor NaN; +inf and -inf where there are none */
} moments;

typedef struct {
  int by_bits;
  int shift;
  int32_t buckets;
  uint64_t low_bits;
  double low, scale;
} map;

static inline uint64_t ordered(double value) {
  uint64_t bits;
  value += 0.0; /* -0.0 and 0.0 are one value */
  memcpy(&bits, &value, sizeof bits);
  return bits ^ ((uint64_t)((int64_t)bits >> 63) | 0x8000000000000000u);
}

static inline int32_t bucket_linear(const map *by, double value) {
  double place = (value - by->low) * by->scale;
  place = place > 0 ? place : 0;
  const double last = by->buckets - 1;
  place = place < last ? place : last;
  return (int32_t)(value == value ? place : by->buckets);
}

static inline int32_t bucket_bits(const map *by, double value) {
  uint64_t bits = ordered(value);
  uint64_t place = bits > by->low_bits ? (bits - by->low_bits) >> by->shift : 0;
  const uint64_t last = (uint64_t)by->buckets - 1;
  place = place < last ? place : last;
  return (int32_t)(value == value ? place : (uint64_t)by->buckets);
}

/* Where the cells begin, worked out once for any number of columns of values. */
typedef struct {
  map by;
  int64_t count, fullest;
  uint16_t *first; /* bucket -> how many edges lie in lower buckets; and last where NaN is counted */
  double edges[];  /* count of them, and UNROLLED NaNs: beyond the last edge stands what is below nothing */
} table;

/* Fills first; returns how many edges the fullest bucket has. */
static int64_t fill(const map *by, const double *edges, int64_t count, uint16_t *first) {
  int64_t fullest = 0, run = 0, edge = 0;
  int32_t bucket = 0, last = -1;
  for (edge = 0; edge < count; edge++) {
    int32_t here = by->by_bits ? bucket_bits(by, edges[edge]) : bucket_linear(by, edges[edge]);
    run = here == last ? run + 1 : 1;
    last = here;
    if (run > fullest) fullest = run;
    for (; bucket <= here; bucket++) first[bucket] = (uint16_t)(edge - (run - 1));
  }
  for (; bucket < by->buckets; bucket++) first[bucket] = (uint16_t)count;
  return fullest;
}

static void fit(map *by, const double *edges, int64_t count) {
  double low = edges[0], high = edges[count - 1];
  by->low = low;
  by->scale = (by->buckets - 2) / (high - low);
  if (!(by->scale > 0) || isinf(by->scale)) by->scale = 0; /* one edge, or a width that overflows */
  by->low_bits = ordered(low);
  uint64_t width = ordered(high) - by->low_bits;
  by->shift = 0;
  while ((width >> by->shift) >= (uint64_t)by->buckets - 1) by->shift++;
}

/* How many bytes the table of count edges takes, of which there may be 65534. */
EXPORT int64_t modelmonitor_table_size(int64_t count) {
  return (int64_t)(sizeof(table) + (size_t)(count + UNROLLED) * sizeof(double) +
                   (BUCKETS_OF(count) + 1) * sizeof(uint16_t));
}

/* edges: count of them, increasing and finite. made: modelmonitor_table_size(count) bytes, aligned to 8. */
EXPORT void modelmonitor_make_table(const double *edges, int64_t count, table *made) {
  memset(made, 0, (size_t)modelmonitor_table_size(count));
  made->count = count;
  made->by.buckets = BUCKETS_OF(count);
  made->first = (uint16_t *)(made->edges + count + UNROLLED);
  for (int64_t i = 0; i < count; i++) made->edges[i] = edges[i];
  for (int i = 0; i < UNROLLED; i++) made->edges[count + i] = NAN;
  made->first[made->by.buckets] = (uint16_t)(count + 1);
  if (count == 0) return;
  fit(&made->by, edges, count);
  made->fullest = fill(&made->by, edges, count, made->first);
  if (made->fullest <= 1) return;
  map linear = made->by;
  made->by.by_bits = 1;
  int64_t with_bits = fill(&made->by, edges, count, made->first);
  if (with_bits < made->fullest) {
    made->fullest = with_bits;
  } else {
    made->by = linear;
    fill(&made->by, edges, count, made->first);
  }
}

typedef struct {
  const double *values;
  const uint8_t *valid;
  int64_t offset, n;
  double shift;
} column;

static inline int is_valid(const uint8_t *valid, int64_t bit) { return (valid[bit >> 3] >> (bit & 7)) & 1; }

/* The loops below are written for vectors: the compiler makes one version for every x86-64, and one for those of the
 * last ten years, of which the loader takes the best. Sums go by LANES whatever the version, so they are the same. */
#if defined(MULTIVERSION)
#define VERSIONS __attribute__((target_clones("avx2", "default")))
#else
#define VERSIONS
#endif
#define TILE 1024 /* values whose buckets stay in the nearest cache */
#define WIDTH 2 /* values in a vector, as all processors have them */
#define VECTORS 2
#define LANES (WIDTH * VECTORS)

/* Vectors of the compilers' own: of comparisons of single values they make branches, which go wrong wherever something
 * is missing. */
typedef double vector __attribute__((vector_size(WIDTH * sizeof(double))));
typedef int64_t mask __attribute__((vector_size(WIDTH * sizeof(double))));
#define EITHER(first, one, other) (vector)(((first) & (mask)(one)) | (~(first) & (mask)(other)))

typedef struct {
  vector sum[VECTORS], square_sum[VECTORS], minimum[VECTORS], maximum[VECTORS];
} lanes;

/* Copies a tile with NaN, which has all bits set, for what is missing. */
VERSIONS static void gather(const column *of, int64_t start, int64_t n, double *restrict values) {
  const int64_t first = of->offset + start;
  const uint8_t *const bytes = of->valid + (first >> 3);
  const double *const from = of->values + start;
  const int skip = first & 7;
  uint8_t present[TILE + 16];
  for (int64_t byte = 0; byte < (skip + n + 7) / 8; byte++) {
    const uint8_t bits = bytes[byte];
    for (int bit = 0; bit < 8; bit++) present[8 * byte + bit] = bits >> bit & 1;
  }
  for (int64_t i = 0; i < n; i++) {
    uint64_t value;
    memcpy(&value, from + i, sizeof value);
    value |= (uint64_t)present[skip + i] - 1;
    memcpy(values + i, &value, sizeof value);
  }
}

VERSIONS static void add_moments(const double *values, int64_t n, double shift, lanes *to) {
  lanes local = *to;
  for (int64_t i = 0; i + LANES <= n; i += LANES) {
    for (int j = 0; j < VECTORS; j++) {
      vector value;
      memcpy(&value, values + i + j * WIDTH, sizeof value);
      const vector deviation = (vector)((mask)(value - shift) & (value == value));
      local.sum[j] += deviation;
      local.square_sum[j] += deviation * deviation;
      local.minimum[j] = EITHER(value < local.minimum[j], value, local.minimum[j]);
      local.maximum[j] = EITHER(value > local.maximum[j], value, local.maximum[j]);
    }
  }
  *to = local;
}

VERSIONS static void find_buckets_linear(const map *by, const double *values, int64_t n, int32_t *buckets) {
  const map local = *by;
  for (int64_t i = 0; i < n; i++) buckets[i] = bucket_linear(&local, values[i]);
}

VERSIONS static void find_buckets_by_bits(const map *by, const double *values, int64_t n, int32_t *buckets) {
  const map local = *by;
  for (int64_t i = 0; i < n; i++) buckets[i] = bucket_bits(&local, values[i]);
}

static inline int64_t cell_of(double value, int64_t first, const double *edges, int64_t steps) {
  int64_t cell = first;
  for (int64_t j = 0; j < steps; j++) cell += edges[cell] <= value;
  return cell;
}

/* cells: two tables, the other of which begins after count + 2, so that neighbours that fall into one cell do not wait
 * for one another. */
#define COUNT(NAME, STEPS)                                                                                            \
  static void NAME(const double *values, const int32_t *buckets, int64_t n, const uint16_t *first, const double *edges,\
                   int64_t count, int64_t fullest, int64_t *cells) {                                                  \
    int64_t *const other = cells + count + 2;                                                                         \
    (void)fullest;                                                                                                    \
    for (int64_t i = 0; i + 1 < n; i += 2) {                                                                          \
      cells[cell_of(values[i], first[buckets[i]], edges, STEPS)]++;                                                   \
      other[cell_of(values[i + 1], first[buckets[i + 1]], edges, STEPS)]++;                                           \
    }                                                                                                                 \
    if (n & 1) cells[cell_of(values[n - 1], first[buckets[n - 1]], edges, STEPS)]++;                                  \
  }
COUNT(count_one, 1)
COUNT(count_two, 2)
COUNT(count_three, 3)
COUNT(count_four, 4)
COUNT(count_any, fullest)

typedef void count_tile(const double *, const int32_t *, int64_t, const uint16_t *, const double *, int64_t, int64_t,
                        int64_t *);

static void pass(const column *of, const table *cut, int64_t *cells, moments *out) {
  count_tile *const by_fullest[UNROLLED + 1] = {count_one, count_one, count_two, count_three, count_four};
  count_tile *const count_cells = cut->fullest <= UNROLLED ? by_fullest[cut->fullest] : count_any;
  double gathered[TILE];
  int32_t buckets[TILE];
  lanes found;
  for (int j = 0; j < VECTORS; j++) {
    found.sum[j] = found.square_sum[j] = (vector){0};
    found.minimum[j] = (vector){0} + INFINITY, found.maximum[j] = (vector){0} - INFINITY;
  }
  for (int64_t start = 0; start < of->n; start += TILE) {
    const int64_t n = of->n - start < TILE ? of->n - start : TILE, padded = (n + LANES - 1) / LANES * LANES;
    const double *values = of->values + start;
    if (of->valid != NULL || padded > n) {
      if (of->valid != NULL) gather(of, start, n, gathered);
      else memcpy(gathered, values, (size_t)n * sizeof *values);
      for (int64_t i = n; i < padded; i++) gathered[i] = NAN;
      values = gathered;
    }
    add_moments(values, padded, of->shift, &found);
    if (cut->by.by_bits) find_buckets_by_bits(&cut->by, values, n, buckets);
    else find_buckets_linear(&cut->by, values, n, buckets);
    count_cells(values, buckets, n, cut->first, cut->edges, cut->count, cut->fullest, cells);
  }
  out->minimum = INFINITY, out->maximum = -INFINITY;
  for (int lane = 0; lane < LANES; lane++) {
    const int j = lane / WIDTH, k = lane % WIDTH;
    out->sum += found.sum[j][k], out->square_sum += found.square_sum[j][k];
    out->minimum = found.minimum[j][k] < out->minimum ? found.minimum[j][k] : out->minimum;
    out->maximum = found.maximum[j][k] > out->maximum ? found.maximum[j][k] : out->maximum;
  }
}

/* What the pass leaves out because it is rare: infinities, which have no moments, and values out of range. */
static void look_again(const column *of, double lowest, double highest, moments *out) {
  out->sum = out->square_sum = 0;
  out->finite = out->negative_infinities = out->below = out->above = 0;
  for (int64_t i = 0; i < of->n; i++) {
    const double value = of->values[i];
    if ((of->valid && !is_valid(of->valid, of->offset + i)) || value != value) continue;
    out->below += value < lowest;
    out->above += value > highest;
    out->negative_infinities += value == -INFINITY;
    if (isinf(value)) continue;
    const double deviation = value - of->shift;
    out->finite++;
    out->sum += deviation;
    out->square_sum += deviation * deviation;
  }
}

/* For the caller to see that it is of the same version. */
EXPORT int64_t modelmonitor_moments_size(void) { return sizeof(moments); }

/* Adds n doubles to what has been found before. valid: bitmap whose bit offset + i says whether values[i] is there, or
 * NULL for all. cells: 2 * (count + 2), zeros at first; the second half is to be added to the first, whose last cell is
 * that of NaN and NULL. */
EXPORT void modelmonitor_bin(const table *cut, const double *values, const uint8_t *valid, int64_t offset, int64_t n,
                             double shift, double lowest, double highest, int64_t *cells, moments *all) {
  const column of = {values, valid, offset, n, shift};
  const int64_t nowhere = cut->count + 1, missing = cells[nowhere] + cells[nowhere + cut->count + 2];
  moments out = {0};
  pass(&of, cut, cells, &out);
  out.finite = n - (cells[nowhere] + cells[nowhere + cut->count + 2] - missing);
  if (isinf(out.minimum) || isinf(out.maximum) || out.minimum < lowest || out.maximum > highest)
    look_again(&of, lowest, highest, &out);
  all->finite += out.finite, all->negative_infinities += out.negative_infinities;
  all->below += out.below, all->above += out.above;
  all->sum += out.sum, all->square_sum += out.square_sum;
  all->minimum = out.minimum < all->minimum ? out.minimum : all->minimum;
  all->maximum = out.maximum > all->maximum ? out.maximum : all->maximum;
}

/* Adds n places in a dictionary of count words. counts: 2 * (count + 1), zeros at first; the second half is to be added
 * to the first: how often each word occurs, then the missing, as which codes out of range count that no valid array
 * has. */
EXPORT void modelmonitor_count(const int32_t *codes, const uint8_t *valid, int64_t offset, int64_t n, int64_t count,
                               int64_t *counts) {
  int64_t *const other = counts + count + 1;
  for (int64_t i = 0; i < n; i++) {
    const int present = valid ? (valid[(offset + i) >> 3] >> ((offset + i) & 7)) & 1 : 1;
    const int64_t code = present && codes[i] >= 0 && codes[i] < count ? codes[i] : count;
    (i & 1 ? other : counts)[code]++;
  }
}

/* The CRC-32 of zlib of each of n texts; text i lies between ends[i] and ends[i + 1]. */
EXPORT void modelmonitor_checksums(const int32_t *ends, const uint8_t *text, int64_t n, uint64_t *checksums) {
  uint32_t table[256];
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t rest = byte;
    for (int bit = 0; bit < 8; bit++) rest = rest >> 1 ^ (rest & 1 ? 0xEDB88320u : 0);
    table[byte] = rest;
  }
  for (int64_t i = 0; i < n; i++) {
    uint32_t checksum = 0xFFFFFFFFu;
    for (int32_t at = ends[i]; at < ends[i + 1]; at++) checksum = checksum >> 8 ^ table[(checksum ^ text[at]) & 0xFF];
    checksums[i] = checksum ^ 0xFFFFFFFFu;
  }
}
