// The Verilated gateware with a board's converters around it (hardware/gateware/tests/spu_board.v), for
// src/model.rs.
#include <cstdint>
#include <memory>

#include "Vspu_board.h"
#include "verilated.h"

double sc_time_stamp() { return 0; }

extern "C" {

// What the board is: the constant inputs, in the order of their ports.
struct SpuRtlConstants {
    uint32_t gateware_id, board, banks, converters, sample_clock_hz, capture_frames;
    uint32_t serial[2], profile_name[4], real_words[15];
    uint32_t mistake;
};

struct SpuRtlInputs {
    uint8_t reset, spi_sck, spi_select_n, spi_mosi, permit;
};

// What happens around the core in a clock, for the caller to do.
enum : uint32_t { SAMPLED = 1, SHIFTED = 2, SHIFTED_BIT = 4, LATCHED = 8, DISCHARGED = 16, FULL = 32 };

// How long to run, and what came of it.
struct SpuRtlRun {
    // Edges of the clock to go.
    uint64_t edges;
    // Ticks begun so far, and by which to stop.
    uint64_t ticks, end_ticks;
    // Clocks without a tick after which to stop.
    uint32_t most_waited;
    // Whether to stop where the gateware is not busy.
    uint32_t until_done;
    // Rows that the DACs showed since the analog board last ran.
    uint32_t rows;
};

struct SpuRtl {
    VerilatedContext context;
    std::unique_ptr<Vspu_board> board;
    // The DACs' row of an update in the clock of the last event, which comes after it.
    bool owed = false;
};

SpuRtl *spu_rtl_new(const SpuRtlConstants *constants, uint32_t seed) {
    auto *rtl = new SpuRtl;
    rtl->context.randReset(2);
    rtl->context.randSeed(static_cast<int>(seed));
    rtl->board = std::make_unique<Vspu_board>(&rtl->context);
    Vspu_board &board = *rtl->board;
    board.mistake = constants->mistake;
    board.gateware_id = constants->gateware_id;
    board.board = constants->board;
    board.banks = constants->banks;
    board.converters = constants->converters;
    board.sample_clock_hz = constants->sample_clock_hz;
    board.capture_frames = constants->capture_frames;
    board.serial = uint64_t{constants->serial[1]} << 32 | constants->serial[0];
    for (int word = 0; word < 4; ++word) board.profile_name[word] = constants->profile_name[word];
    for (int word = 0; word < 15; ++word) board.real_words[word] = constants->real_words[word];
    board.clk = 0;
    board.reset = 1;
    board.spi_select_n = 1;
    board.configure = 0;
    board.eval();
    board.configure = 1;
    board.eval();
    return rtl;
}

void spu_rtl_free(SpuRtl *rtl) {
    rtl->board->final();
    delete rtl;
}

// Sets inputs between two edges.
void spu_rtl_set(SpuRtl *rtl, const SpuRtlInputs *in) {
    Vspu_board &board = *rtl->board;
    board.reset = in->reset;
    board.spi_sck = in->spi_sck;
    board.spi_select_n = in->spi_select_n;
    board.spi_mosi = in->spi_mosi;
    board.permit = in->permit;
    board.eval();
}

uint8_t spu_rtl_miso(const SpuRtl *rtl) { return rtl->board->spi_miso; }

// The codes of the last sample.
void spu_rtl_codes(SpuRtl *rtl, const int16_t *codes) {
    for (int word = 0; word < 4; ++word)
        rtl->board->adc[word] = static_cast<uint16_t>(codes[2 * word])
            | uint32_t{static_cast<uint16_t>(codes[2 * word + 1])} << 16;
}

// Runs until something stops it; what the caller is to do before the next clock: 0 for nothing.
// `rows` has room for one row more than `room`.
uint32_t spu_rtl_run(SpuRtl *rtl, SpuRtlRun *run, int16_t (*rows)[8], uint32_t room) {
    Vspu_board &board = *rtl->board;
    const auto show = [&] {
        int16_t *row = rows[run->rows++];
        for (int cell = 0; cell < 8; ++cell)
            row[cell] = static_cast<int16_t>(board.dac[cell / 2] >> 16 * (cell % 2));
    };
    if (rtl->owed) show();
    rtl->owed = false;
    uint32_t waited = 0;
    while (run->edges > 0) {
        if (run->rows >= room) return FULL;
        if ((run->until_done && !board.busy) || run->ticks >= run->end_ticks
            || waited > run->most_waited)
            return 0;
        board.clk = !board.clk;
        board.eval();
        --run->edges;
        if (!board.clk) continue;
        waited = board.began ? 0 : waited + 1;
        run->ticks += board.began;
        if (board.event_seen) {
            rtl->owed = board.updated;
            return (board.sampled ? SAMPLED : 0) | (board.shifted ? SHIFTED : 0)
                | (board.shifted_bit ? SHIFTED_BIT : 0) | (board.latched ? LATCHED : 0)
                | (board.discharged ? DISCHARGED : 0);
        }
        if (board.updated) show();
    }
    return 0;
}

} // extern "C"
