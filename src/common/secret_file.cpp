#include "common/secret_file.hpp"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "common/error.hpp"
#include "common/fd.hpp"

namespace farol {
namespace {

constexpr off_t kLargestFile = 64 * 1024;
constexpr std::size_t kShortestToken = 16, kLongestToken = 256;

/// Where the service manager put what is this service's own; links are followed, so none leads out of it.
bool is_credential(const std::string& path) {
  const char* const directory = std::getenv("CREDENTIALS_DIRECTORY");
  if (directory == nullptr || *directory != '/') return false;
  std::error_code error;
  const auto place = std::filesystem::canonical(directory, error);
  if (error || place == place.root_path()) return false;
  const auto file = std::filesystem::canonical(path, error);
  return !error && std::mismatch(place.begin(), place.end(), file.begin(), file.end()).first == place.end();
}

/// What nobody but the owner may do to it.
mode_t forbidden_to_others(const std::string& path) { return is_credential(path) ? 037 : 077; }

}  // namespace

std::string read_secret_file(const std::string& path, const std::string& what) {
  const Fd file(retry_eintr([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); }));
  struct stat about{};
  if (!file || ::fstat(file.get(), &about) != 0)
    throw StartError("cannot read " + what + " " + path + ": " + error_text(errno));
  if (!S_ISREG(about.st_mode)) throw StartError(what + " " + path + " is not a regular file");
  if ((about.st_mode & 077) != 0 && (about.st_mode & forbidden_to_others(path)) != 0)
    throw StartError(what + " " + path + " is readable by others (chmod 600 it)");
  if (about.st_size > kLargestFile) throw StartError(what + " " + path + " is larger than 64 KiB: not a " + what);
  std::string text(static_cast<std::size_t>(kLargestFile), '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const auto got = retry_eintr([&] { return ::read(file.get(), text.data() + size, text.size() - size); });
    if (got < 0) throw StartError("cannot read " + what + " " + path + ": " + error_text(errno));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  return text;
}

Token Token::load(const std::string& path) { return parse(read_secret_file(path, "token file"), path); }

Token Token::parse(const std::string& text, const std::string& path) {
  const std::string line = text.substr(0, text.find_first_of("\r\n"));
  const bool plain = std::all_of(line.begin(), line.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (!plain || line.size() < kShortestToken || line.size() > kLongestToken)
    throw StartError("token file " + path +
                     " holds no token (want one line of 16 to 256 characters without blanks; openssl rand -hex 32)");
  return Token(line);
}

bool Token::is(const std::string& shown) const {
  return shown.size() == text_.size() && CRYPTO_memcmp(shown.data(), text_.data(), text_.size()) == 0;
}

}  // namespace farol
