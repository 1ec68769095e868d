/* The arithmetic of time: scales, rates, and the calendar. See <ashlar/clock.h>. */
#include <ashlar/clock.h>

/*
 * dividend / divisor, bit by bit: the kernel has no library behind the 128-bit division operator, and this
 * runs at start only. A quotient of more than 64 bits gives UINT64_MAX.
 */
static uint64_t divide_wide(unsigned __int128 dividend, uint64_t divisor)
{
    unsigned __int128 quotient = 0;
    unsigned __int128 rest = 0;
    for (int bit = 127; bit >= 0; bit--) {
        rest = rest << 1 | (dividend >> bit & 1);
        quotient <<= 1;
        if (rest >= divisor) {
            rest -= divisor;
            quotient |= 1;
        }
    }
    return quotient > UINT64_MAX ? UINT64_MAX : (uint64_t)quotient;
}

struct clock_scale clock_scale_make(uint64_t from_hertz, uint64_t to_hertz)
{
    return (struct clock_scale){
        divide_wide(((unsigned __int128)to_hertz << 32) + from_hertz / 2, from_hertz)};
}

uint64_t clock_scale_apply(struct clock_scale scale, uint64_t value)
{
    return (uint64_t)((unsigned __int128)value * scale.multiplier >> 32);
}

uint64_t clock_rate_from_samples(const struct clock_sample *begin, const struct clock_sample *end,
                                 unsigned bits, uint64_t hertz)
{
    uint64_t mask = bits >= 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
    uint64_t counted = (end->count - begin->count) & mask;
    uint64_t ticks = end->ticks - begin->ticks;
    if (counted == 0 || end->ticks <= begin->ticks) {
        return 0;
    }
    uint64_t rate = divide_wide((unsigned __int128)ticks * hertz, counted);
    return rate != UINT64_MAX ? rate : 0;
}

bool clock_rates_agree(uint64_t a, uint64_t b)
{
    return (a > b ? a - b : b - a) <= b / 100;
}

enum clock_choice clock_choose(const struct clock_stated *stated, uint64_t measured)
{
    bool exact = stated->hertz != 0 && !stated->nominal && clock_rates_agree(stated->hertz, measured);
    if (measured != 0) {
        return exact ? CLOCK_STATED : CLOCK_MEASURED;
    }
    return stated->hertz != 0 ? CLOCK_STATED : CLOCK_ASSUMED;
}

static bool is_leap_year(unsigned year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap_year(year) ? 1 : 0);
}

bool clock_date_is_valid(const struct clock_date *date)
{
    return date->year >= 1900 && date->year <= 9999 && date->month >= 1 && date->month <= 12 &&
           date->day >= 1 && date->day <= days_in_month(date->year, date->month) && date->hour <= 23 &&
           date->minute <= 59 && date->second <= 59 &&
           ((date->zone >= -1440 && date->zone <= 1440) || date->zone == CLOCK_ZONE_UNKNOWN);
}

/* Days from 1 January of year 1 to 1 January of `year`, in the Gregorian calendar. */
static int64_t days_before_year(int64_t year)
{
    int64_t past = year - 1;
    return past * 365 + past / 4 - past / 100 + past / 400;
}

#define DAYS_TO_1970 719162 /* days_before_year(1970) */
#define DAY_SECONDS  86400

int64_t clock_date_to_seconds(const struct clock_date *date)
{
    int64_t days = days_before_year(date->year) - DAYS_TO_1970 + date->day - 1;
    for (unsigned month = 1; month < date->month; month++) {
        days += days_in_month(date->year, month);
    }
    int64_t zone = date->zone == CLOCK_ZONE_UNKNOWN ? 0 : date->zone;
    int64_t minutes = (days * 24 + date->hour) * 60 + date->minute + zone;
    return minutes * 60 + date->second;
}

bool clock_date_from_seconds(int64_t seconds, struct clock_date *date)
{
    int64_t first = (days_before_year(1900) - DAYS_TO_1970) * DAY_SECONDS;
    int64_t end = (days_before_year(10000) - DAYS_TO_1970) * DAY_SECONDS;
    if (seconds < first || seconds >= end) {
        return false;
    }
    uint64_t rest = (uint64_t)(seconds - first);
    uint64_t day = rest / DAY_SECONDS;
    rest %= DAY_SECONDS;
    unsigned year = 1900;
    for (unsigned length; day >= (length = is_leap_year(year) ? 366 : 365); year++) {
        day -= length;
    }
    unsigned month = 1;
    for (unsigned length; day >= (length = days_in_month(year, month)); month++) {
        day -= length;
    }
    *date = (struct clock_date){.year = (uint16_t)year,
                                .month = (uint8_t)month,
                                .day = (uint8_t)(day + 1),
                                .hour = (uint8_t)(rest / 3600),
                                .minute = (uint8_t)(rest / 60 % 60),
                                .second = (uint8_t)(rest % 60)};
    return true;
}
