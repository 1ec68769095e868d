/* How text fits a framebuffer; see <ashlar/screen_grid.h>. */
#include <ashlar/screen_grid.h>

enum { COMFORTABLE_COLUMNS = 128, COMFORTABLE_ROWS = 40 };

bool screen_grid_of(const struct boot_framebuffer *framebuffer, uint32_t font_width, uint32_t font_height,
                    struct screen_grid *grid)
{
    uint64_t across = min_u64(framebuffer->width / font_width, SCREEN_COLUMNS_MAX);
    uint64_t down = min_u64(framebuffer->height / font_height, TERMINAL_ROWS_MAX);
    if (across == 0 || down == 0) {
        return false;
    }
    grid->columns = (uint32_t)across;
    grid->rows = (uint32_t)min_u64(down, SCREEN_CELLS_MAX / across);
    return true;
}

const struct screen_font_file *screen_choose_font(const struct boot_framebuffer *framebuffer,
                                                  const struct screen_font_file *files, size_t file_count,
                                                  struct screen_grid *grid)
{
    const struct screen_font_file *best = NULL;
    uint32_t best_height = 0;
    bool best_comfortable = false;
    for (size_t i = 0; i < file_count; i++) {
        uint32_t width;
        uint32_t height;
        struct screen_grid candidate;
        if (!psf_size(files[i].data, files[i].bytes, &width, &height) ||
            !screen_grid_of(framebuffer, width, height, &candidate)) {
            continue;
        }
        bool comfortable = candidate.columns >= COMFORTABLE_COLUMNS && candidate.rows >= COMFORTABLE_ROWS;
        bool better = comfortable != best_comfortable ? comfortable : comfortable == (height > best_height);
        if (!best || better) {
            best = &files[i];
            best_height = height;
            best_comfortable = comfortable;
            *grid = candidate;
        }
    }
    return best;
}
