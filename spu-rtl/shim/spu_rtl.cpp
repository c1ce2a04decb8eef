// Pins of the Verilated gateware, for src/model.rs.
#include <cstdint>
#include <cstring>
#include <memory>

#include "Vspu_core.h"
#include "verilated.h"

double sc_time_stamp() { return 0; }

extern "C" {

// What the board is: the constant inputs of spu_core, in the order of their ports.
struct SpuRtlConstants {
    uint32_t gateware_id, board, banks, converters, sample_clock_hz, capture_frames;
    uint32_t serial_lo, serial_hi;
    uint32_t profile_name[4];
    // Addresses 0x40 to 0x78.
    uint32_t real[15];
};

struct SpuRtlInputs {
    uint8_t clk, reset, spi_sck, spi_select_n, spi_mosi, permit;
    uint16_t adc_data;
};

struct SpuRtlOutputs {
    uint8_t spi_miso, tick, dac_write, dac_cell, dac_update, adc_sample, adc_read, adc_cell;
    uint8_t discharge, switch_clock, switch_data, switch_latch, busy;
    uint16_t dac_data;
};

struct SpuRtl {
    VerilatedContext context;
    std::unique_ptr<Vspu_core> core;
};

SpuRtl *spu_rtl_new(const SpuRtlConstants *board, uint32_t seed) {
    auto *rtl = new SpuRtl;
    rtl->context.randReset(2);
    rtl->context.randSeed(static_cast<int>(seed));
    rtl->core = std::make_unique<Vspu_core>(&rtl->context);
    Vspu_core &core = *rtl->core;
    core.gateware_id = board->gateware_id;
    core.board_kind = board->board & 0xFFFF;
    core.board_cells = board->board >> 16;
    core.banks_self_bits = board->banks & 0xFF;
    core.banks_coupling_bits = board->banks >> 8 & 0xFF;
    core.banks_coupling_signed = board->banks >> 16 & 1;
    core.banks_storage_bits = board->banks >> 24;
    core.converters_dac_bits = board->converters & 0xFF;
    core.converters_adc_bits = board->converters >> 8 & 0xFF;
    core.converters_sample_bits = board->converters >> 16 & 0xFF;
    core.converters_control_bits = board->converters >> 24 & 0xF;
    core.converters_samples_per_frame = board->converters >> 28;
    core.sample_clock_hz = board->sample_clock_hz;
    core.capture_frames = board->capture_frames;
    core.serial_lo = board->serial_lo;
    core.serial_hi = board->serial_hi;
    for (int word = 0; word < 4; ++word) core.profile_name[word] = board->profile_name[word];
    IData *real[15] = {&core.noise_rms,       &core.r_ohm,          &core.l_henry,
                       &core.self_lsb_farad,  &core.coupling_lsb_farad, &core.stray_farad,
                       &core.dac_lsb_ampere,  &core.adc_lsb_volt,   &core.drive_spread,
                       &core.bank_spread,     &core.adc_gain_spread, &core.r_spread,
                       &core.l_spread,        &core.stream_frames_per_s, &core.storage_lsb_farad};
    for (int word = 0; word < 15; ++word) *real[word] = board->real[word];
    return rtl;
}

void spu_rtl_free(SpuRtl *rtl) {
    rtl->core->final();
    delete rtl;
}

void spu_rtl_eval(SpuRtl *rtl, const SpuRtlInputs *in, SpuRtlOutputs *out) {
    Vspu_core &core = *rtl->core;
    core.clk = in->clk;
    core.reset = in->reset;
    core.spi_sck = in->spi_sck;
    core.spi_select_n = in->spi_select_n;
    core.spi_mosi = in->spi_mosi;
    core.permit = in->permit;
    core.adc_data = in->adc_data;
    core.eval();
    out->spi_miso = core.spi_miso;
    out->tick = core.tick;
    out->dac_write = core.dac_write;
    out->dac_cell = core.dac_cell;
    out->dac_update = core.dac_update;
    out->adc_sample = core.adc_sample;
    out->adc_read = core.adc_read;
    out->adc_cell = core.adc_cell;
    out->discharge = core.discharge;
    out->switch_clock = core.switch_clock;
    out->switch_data = core.switch_data;
    out->switch_latch = core.switch_latch;
    out->busy = core.busy;
    out->dac_data = core.dac_data;
}

} // extern "C"
