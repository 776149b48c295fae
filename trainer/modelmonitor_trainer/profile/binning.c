/* Counts of float64 values in the cells between increasing edges, with what else a profile needs, in one pass.
 *
 * A value's cell is the number of edges at or below it. A monotone map takes values to buckets; the edges that fall
 * into lower buckets are below every value of a bucket, so that a table gives a first candidate and only the edges of
 * the same bucket are compared. Whatever the map rounds, the result is exact, because edges and values go through the
 * same map. Two maps are tried, linear and by the order-preserving bit pattern (for tails), and the one with fewer
 * edges in its fullest bucket is taken. Nothing branches on data.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BUCKETS 8192
#define UNROLLED 4 /* edges in a bucket up to which the comparisons are unrolled */

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

typedef struct {
  int64_t nulls, nans, finite, below, above;
  double sum, square_sum; /* of finite values, after the shift */
  double minimum, maximum; /* of values that are neither NULL nor NaN; +inf and -inf where there are none */
} moments;

typedef struct {
  int by_bits;
  int shift;
  uint64_t low_bits;
  double low, scale;
} map;

static inline uint64_t ordered(double value) {
  uint64_t bits;
  value += 0.0; /* -0.0 and 0.0 are one value */
  memcpy(&bits, &value, sizeof bits);
  return bits ^ ((uint64_t)((int64_t)bits >> 63) | 0x8000000000000000u);
}

static inline uint32_t bucket_linear(const map *by, double value) {
  double place = (value - by->low) * by->scale;
  place = place > 0 ? place : 0;
  place = place < BUCKETS - 1 ? place : BUCKETS - 1;
  return (uint32_t)place;
}

static inline uint32_t bucket_bits(const map *by, double value) {
  uint64_t bits = ordered(value);
  uint64_t place = bits > by->low_bits ? (bits - by->low_bits) >> by->shift : 0;
  return place < BUCKETS - 1 ? (uint32_t)place : BUCKETS - 1;
}

/* Fills first[bucket] with the number of edges in lower buckets; returns how many edges the fullest bucket has. */
static int64_t fill(const map *by, const double *edges, int64_t count, int32_t *first) {
  int64_t fullest = 0, run = 0, edge = 0;
  uint32_t bucket = 0, last = BUCKETS;
  for (edge = 0; edge < count; edge++) {
    uint32_t here = by->by_bits ? bucket_bits(by, edges[edge]) : bucket_linear(by, edges[edge]);
    run = here == last ? run + 1 : 1;
    last = here;
    if (run > fullest) fullest = run;
    for (; bucket <= here; bucket++) first[bucket] = (int32_t)(edge - (run - 1));
  }
  for (; bucket < BUCKETS; bucket++) first[bucket] = (int32_t)count;
  return fullest;
}

static void fit(map *by, const double *edges, int64_t count) {
  double low = edges[0], high = edges[count - 1];
  by->low = low;
  by->scale = (BUCKETS - 2) / (high - low);
  if (!(by->scale > 0) || isinf(by->scale)) by->scale = 0; /* one edge, or a width that overflows */
  by->low_bits = ordered(low);
  uint64_t width = ordered(high) - by->low_bits;
  by->shift = 0;
  while ((width >> by->shift) >= BUCKETS - 1) by->shift++;
}

typedef struct {
  const double *values;
  const uint8_t *valid;
  int64_t offset, n;
  double shift;
} column;

static inline int is_valid(const uint8_t *valid, int64_t bit) { return (valid[bit >> 3] >> (bit & 7)) & 1; }

#define PASS(NAME, BUCKET, COMPARISONS, PRESENT)                                                                      \
  static void NAME(const column *of, const map *by, const int32_t *first, const double *edges, int64_t count,         \
                   int64_t fullest, int64_t *cells, moments *out) {                                                   \
    const map local = *by;                                                                                            \
    const double *const values = of->values, shift = of->shift;                                                       \
    const uint8_t *const valid = of->valid;                                                                           \
    const int64_t n = of->n, offset = of->offset, nowhere = count + 1; /* where missing values are counted */         \
    int64_t *const other = cells + count + 2; /* neighbours often fall into one cell: two tables, so that none waits */\
    double sum = 0, square_sum = 0, minimum = INFINITY, maximum = -INFINITY;                                          \
    (void)valid, (void)offset, (void)fullest;                                                                         \
    for (int64_t i = 0; i < n; i++) {                                                                                 \
      const double raw = values[i];                                                                                   \
      const int number = PRESENT & (raw == raw);                                                                      \
      const double value = number ? raw : shift;                                                                      \
      int64_t cell = first[BUCKET(&local, value)];                                                                    \
      COMPARISONS                                                                                                     \
      cell = number ? cell : nowhere;                                                                                 \
      (i & 1 ? other : cells)[cell]++;                                                                                \
      const double deviation = value - shift;                                                                         \
      sum += deviation;                                                                                               \
      square_sum += deviation * deviation;                                                                            \
      minimum = number & (value < minimum) ? value : minimum;                                                         \
      maximum = number & (value > maximum) ? value : maximum;                                                         \
    }                                                                                                                 \
    for (int64_t cell = 0; cell <= nowhere; cell++) cells[cell] += other[cell];                                       \
    out->sum = sum, out->square_sum = square_sum, out->minimum = minimum, out->maximum = maximum;                     \
  }

#define ALL 1
#define SOME is_valid(valid, offset + i)
#define STEP cell += edges[cell] <= value;
/* Beyond the last edge stands NaN, which is below nothing: edges has UNROLLED of them at its end. */
#define PASSES(NAME, COMPARISONS)                             \
  PASS(NAME##_linear_all, bucket_linear, COMPARISONS, ALL)    \
  PASS(NAME##_linear_some, bucket_linear, COMPARISONS, SOME)  \
  PASS(NAME##_bits_all, bucket_bits, COMPARISONS, ALL)        \
  PASS(NAME##_bits_some, bucket_bits, COMPARISONS, SOME)
PASSES(two, STEP STEP)
PASSES(four, STEP STEP STEP STEP)
PASSES(any, for (int64_t j = 0; j < fullest; j++) STEP)

typedef void pass(const column *, const map *, const int32_t *, const double *, int64_t, int64_t, int64_t *, moments *);

static pass *const PASS_OF[3][2][2] = {
    {{two_linear_all, two_linear_some}, {two_bits_all, two_bits_some}},
    {{four_linear_all, four_linear_some}, {four_bits_all, four_bits_some}},
    {{any_linear_all, any_linear_some}, {any_bits_all, any_bits_some}},
};

/* What the pass leaves out because it is rare: infinities, which have no moments, and values out of range. */
static void look_again(const column *of, double lowest, double highest, moments *out) {
  out->sum = out->square_sum = 0;
  out->finite = out->below = out->above = 0;
  for (int64_t i = 0; i < of->n; i++) {
    const double value = of->values[i];
    if ((of->valid && !is_valid(of->valid, of->offset + i)) || value != value) continue;
    out->below += value < lowest;
    out->above += value > highest;
    if (isinf(value)) continue;
    const double deviation = value - of->shift;
    out->finite++;
    out->sum += deviation;
    out->square_sum += deviation * deviation;
  }
}

/* values: n doubles. valid: bitmap whose bit offset + i says whether values[i] is there, or NULL for all.
 * edges: count of them, increasing and finite, and UNROLLED NaNs. cells: 2 * (count + 2) zeros; what is beyond count + 1 is scratch.
 * first: scratch, 2 * BUCKETS. */
EXPORT void modelmonitor_bin(const double *values, const uint8_t *valid, int64_t offset, int64_t n,
                             const double *edges, int64_t count, double shift, double lowest, double highest,
                             int32_t *first, int64_t *cells, moments *out) {
  const column of = {values, valid, offset, n, shift};
  map by = {0};
  int64_t fullest = 0, nulls = 0;
  memset(out, 0, sizeof *out);
  if (count == 0) {
    memset(first, 0, BUCKETS * sizeof *first);
  } else {
    fit(&by, edges, count);
    fullest = fill(&by, edges, count, first);
    if (fullest > 2) {
      map bits = by;
      bits.by_bits = 1;
      int64_t with_bits = fill(&bits, edges, count, first + BUCKETS);
      if (with_bits < fullest) by = bits, fullest = with_bits, first += BUCKETS;
    }
  }
  const int steps = fullest <= 2 ? 0 : fullest <= UNROLLED ? 1 : 2;
  PASS_OF[steps][by.by_bits][valid != NULL](&of, &by, first, edges, count, fullest, cells, out);
  for (int64_t i = 0; valid && i < n; i++) nulls += !is_valid(valid, offset + i);
  out->nulls = nulls;
  out->nans = cells[count + 1] - nulls;
  out->finite = n - cells[count + 1];
  if (isinf(out->minimum) || isinf(out->maximum) || out->minimum < lowest || out->maximum > highest)
    look_again(&of, lowest, highest, out);
}

/* codes: n places in a dictionary of count words. counts: 2 * (count + 1) zeros; how often each word occurs, then the
 * missing, then scratch. Codes out of range, which no valid array has, count as missing. */
EXPORT void modelmonitor_count(const int32_t *codes, const uint8_t *valid, int64_t offset, int64_t n, int64_t count,
                               int64_t *counts) {
  int64_t *const other = counts + count + 1;
  for (int64_t i = 0; i < n; i++) {
    const int present = valid ? (valid[(offset + i) >> 3] >> ((offset + i) & 7)) & 1 : 1;
    const int64_t code = present && codes[i] >= 0 && codes[i] < count ? codes[i] : count;
    (i & 1 ? other : counts)[code]++;
  }
  for (int64_t code = 0; code <= count; code++) counts[code] += other[code];
}
