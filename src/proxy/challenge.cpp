#include "proxy/challenge.hpp"

#include <array>

#include "common/wire.hpp"

namespace farol::proxy {

std::uint64_t Challenge::at_slot(const Address& source, std::uint64_t slot) const {
  std::array<std::uint8_t, 30> data{};
  WireWriter writer(data);
  for (const std::uint8_t byte : source.bytes()) writer.u8(byte);
  writer.u32(source.scope());
  writer.u16(source.port());
  writer.u64(slot);
  return monitoring::keyed_digest(secret_, data);
}

}  // namespace farol::proxy
