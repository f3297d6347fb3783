#include "gateway/media_types.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>

namespace farol::gateway {
namespace {

constexpr std::array<std::string_view, 36> kBuiltIn = {
    "application/gzip gz tgz",
    "application/json json map",
    "application/pdf pdf",
    "application/vnd.debian.binary-package deb",
    "application/wasm wasm",
    "application/x-7z-compressed 7z",
    "application/x-bzip2 bz2",
    "application/x-iso9660-image iso",
    "application/x-sh sh",
    "application/x-tar tar",
    "application/x-xz xz",
    "application/xml xml",
    "application/zip zip",
    "application/zstd zst",
    "audio/flac flac",
    "audio/mpeg mp3",
    "audio/ogg ogg oga opus",
    "audio/x-wav wav",
    "font/ttf ttf",
    "font/woff woff",
    "font/woff2 woff2",
    "image/avif avif",
    "image/bmp bmp",
    "image/gif gif",
    "image/jpeg jpg jpeg",
    "image/png png",
    "image/svg+xml svg",
    "image/vnd.microsoft.icon ico",
    "image/webp webp",
    "text/css css",
    "text/csv csv",
    "text/html html htm",
    "text/javascript js mjs",
    "text/markdown md",
    "text/plain txt log conf",
    "video/mp4 mp4 m4v",
};
constexpr std::string_view kUnknown = "application/octet-stream";

std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

/// It goes into a response field: nothing but what a media type consists of.
bool is_media_type(std::string_view text) {
  constexpr std::string_view punctuation = "!#$&-^_.+/";
  return std::count(text.begin(), text.end(), '/') == 1 && text.front() != '/' && text.back() != '/' &&
         std::all_of(text.begin(), text.end(), [&](unsigned char c) {
           return std::isalnum(c) != 0 || punctuation.find(static_cast<char>(c)) != std::string_view::npos;
         });
}

}  // namespace

MediaTypes::MediaTypes() {
  for (const std::string_view line : kBuiltIn) add_line(line);
}

MediaTypes MediaTypes::load(const std::string& file) {
  MediaTypes types;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) types.add_line(line);
  return types;
}

void MediaTypes::add_line(std::string_view line) {
  std::istringstream words{std::string(line.substr(0, line.find('#')))};
  std::string type, extension;
  if (!(words >> type) || !is_media_type(type)) return;
  while (words >> extension) by_extension_[lower_case(extension)] = type;
}

std::string_view MediaTypes::of(std::string_view path) const {
  std::string_view name = path.substr(path.rfind('/') + 1);
  for (auto dot = name.find('.'); dot != std::string_view::npos; dot = name.find('.')) {
    name.remove_prefix(dot + 1);
    if (const auto found = by_extension_.find(lower_case(name)); found != by_extension_.end()) return found->second;
  }
  return kUnknown;
}

}  // namespace farol::gateway
