/* Counts of float64 values in the cells between increasing edges, with what else a profile needs, in one pass.
 *
 * A value's cell is the number of edges at or below it. A monotone map takes values to buckets; the edges that fall
 * into lower buckets are below every value of a bucket, so that a table gives a first candidate and only the edges of
 * the same bucket are compared. Whatever the map rounds, the result is exact, because edges and values go through the
 * same map. Two maps are tried, linear and by the order-preserving bit pattern (for tails), and the one with fewer
 * edges in its fullest bucket is taken. Nothing branches on data.
 */
#include <math.h>
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

#define PASS(NAME, BUCKET, COMPARISONS) \
  static void NAME(const double *values, const uint8_t *valid, int64_t offset, int64_t n, const map *by, \
                   const int32_t *first, const double *edges, int64_t count, int64_t fullest, double shift, \
                   double lowest, double highest, int64_t *cells, moments *out) { \
    const map local = *by; \
    const int64_t nowhere = count + 1; /* where missing values are counted */ \
    int64_t *const other = cells + count + 2; /* neighbours often fall into one cell: two tables, so that none waits */ \
    int64_t nulls = 0, finite = 0, below = 0, above = 0; \
    double sum = 0, square_sum = 0, minimum = INFINITY, maximum = -INFINITY; \
    for (int64_t i = 0; i < n; i++) { \
      const int present = valid ? (valid[(offset + i) >> 3] >> ((offset + i) & 7)) & 1 : 1; \
      const double raw = values[i]; \
      const int number = present & (raw == raw); \
      const double value = number ? raw : shift; \
      int64_t cell = first[BUCKET(&local, value)]; \
      COMPARISONS \
      cell = number ? cell : nowhere; \
      (i & 1 ? other : cells)[cell]++; \
      nulls += !present; \
      const int is_finite = number & (value - value == 0); \
      const double deviation = is_finite ? value - shift : 0; \
      finite += is_finite; \
      sum += deviation; \
      square_sum += deviation * deviation; \
      minimum = number & (value < minimum) ? value : minimum; \
      maximum = number & (value > maximum) ? value : maximum; \
      below += number & (value < lowest); \
      above += number & (value > highest); \
    } \
    for (int64_t cell = 0; cell <= nowhere; cell++) cells[cell] += other[cell]; \
    *out = (moments){nulls, cells[nowhere] - nulls, finite, below, above, sum, square_sum, minimum, maximum}; \
  }

#define STEP cell += edges[cell] <= value;
/* Beyond the last edge stands NaN, which is below nothing: edges has UNROLLED of them at its end. */
PASS(pass_linear, bucket_linear, STEP STEP)
PASS(pass_bits, bucket_bits, STEP STEP)
PASS(pass_linear_4, bucket_linear, STEP STEP STEP STEP)
PASS(pass_bits_4, bucket_bits, STEP STEP STEP STEP)
PASS(pass_linear_any, bucket_linear, for (int64_t j = 0; j < fullest; j++) STEP)
PASS(pass_bits_any, bucket_bits, for (int64_t j = 0; j < fullest; j++) STEP)

/* values: n doubles. valid: bitmap whose bit offset + i says whether values[i] is there, or NULL for all.
 * edges: count of them, increasing and finite, and UNROLLED NaNs. cells: 2 * (count + 2) zeros; what is beyond count + 1 is scratch.
 * first: scratch, 2 * BUCKETS. */
EXPORT void modelmonitor_bin(const double *values, const uint8_t *valid, int64_t offset, int64_t n,
                             const double *edges, int64_t count, double shift, double lowest, double highest,
                             int32_t *first, int64_t *cells, moments *out) {
  map by = {0};
  int64_t fullest = 0;
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
#define RUN(pass) pass(values, valid, offset, n, &by, first, edges, count, fullest, shift, lowest, highest, cells, out)
  if (by.by_bits) {
    if (fullest <= 2) RUN(pass_bits);
    else if (fullest <= UNROLLED) RUN(pass_bits_4);
    else RUN(pass_bits_any);
  } else {
    if (fullest <= 2) RUN(pass_linear);
    else if (fullest <= UNROLLED) RUN(pass_linear_4);
    else RUN(pass_linear_any);
  }
}
