#include "proxy/challenge.hpp"

#include <array>

#include "common/wire.hpp"

namespace farol::proxy {

std::uint64_t Challenge::at_slot(const Address& source, std::uint64_t slot) const {
  std::array<std::uint8_t, 31> data{};
  WireWriter writer(data);
  writer.u8(source.family() == AF_INET6 ? 6 : 4);  // the bytes of 1.2.3.4 are also those of 102:304::
  for (const std::uint8_t byte : source.bytes()) writer.u8(byte);
  writer.u32(source.scope());
  writer.u16(source.port());
  writer.u64(slot);
  return monitoring::keyed_digest(secret_, data);
}

}  // namespace farol::proxy
