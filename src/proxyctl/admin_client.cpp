#include "proxyctl/admin_client.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "common/error.hpp"

namespace farol::proxyctl {
namespace {

using nlohmann::json;

constexpr long kTimeoutMs = 5000;
constexpr std::size_t kLargestReply = 64 * 1024 * 1024;

using Handle = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;
using Headers = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

std::size_t collect(const char* data, std::size_t size, std::size_t count, void* into) {
  auto& reply = *static_cast<std::string*>(into);
  if (reply.size() + size * count > kLargestReply) return 0;  // libcurl ends the transfer
  reply.append(data, size * count);
  return size * count;
}

/// The system's own words where there are some: "Connection refused".
std::string reason(CURL* curl, CURLcode code) {
  long os_error = 0;
  curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &os_error);
  if (code == CURLE_COULDNT_CONNECT && os_error != 0) return error_text(static_cast<int>(os_error));
  return curl_easy_strerror(code);
}

void set_common(CURL* curl, const std::string& url, std::string& reply) {
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, kTimeoutMs);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &collect);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reply);
}

}  // namespace

AdminClient::AdminClient(std::string url) : url_(std::move(url)) {
  if (url_.find("://") == std::string::npos) url_.insert(0, "http://");
  while (!url_.empty() && url_.back() == '/') url_.pop_back();
  const bool http = url_.rfind("http://", 0) == 0 || url_.rfind("https://", 0) == 0;
  if (!http || url_.find_first_of(" ?#") != std::string::npos)
    throw UsageError("--admin '" + url_ + "' is not the URL of an admin endpoint (want http://127.0.0.1:8404)");
  curl_global_init(CURL_GLOBAL_DEFAULT);
}

AdminClient::~AdminClient() {
  curl_global_cleanup();
}

json AdminClient::status() const {
  return call("/api/v1/status", nullptr);
}

json AdminClient::decisions() const {
  return call("/api/v1/decisions", nullptr);
}

json AdminClient::set_state(std::string_view backend, std::string_view state) const {
  const std::string body = json({{"state", state}}).dump();
  return call("/api/v1/backends/" + percent_encode(backend) + "/state", &body);
}

json AdminClient::call(const std::string& path, const std::string* body) const {
  const Handle curl(curl_easy_init(), &curl_easy_cleanup);
  if (!curl) throw std::runtime_error("libcurl does not start");
  std::string reply;
  set_common(curl.get(), url_ + path, reply);
  Headers headers(nullptr, &curl_slist_free_all);
  if (body != nullptr) {
    headers.reset(curl_slist_append(nullptr, "Content-Type: application/json"));
    curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE, static_cast<long>(body->size()));
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, body->c_str());
  }
  const CURLcode code = curl_easy_perform(curl.get());
  if (code == CURLE_URL_MALFORMAT) throw UsageError("--admin '" + url_ + "' is not a URL (want http://127.0.0.1:8404)");
  if (code != CURLE_OK)
    throw std::runtime_error("cannot reach " + url_ + ": " + reason(curl.get(), code) +
                             " (is reverseProxy running with --admin there?)");
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  json content = json::parse(reply, nullptr, false);
  if (content.is_object() && status == 200) return content;
  if (content.is_object() && content.contains("error") && content["error"].is_string())
    throw std::runtime_error(printable(content["error"].get<std::string>()));
  throw std::runtime_error(url_ + " is not the admin endpoint of a reverseProxy (it answered " + path + " with HTTP " +
                           std::to_string(status) + ")");
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view hex = "0123456789ABCDEF";
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool unreserved = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
                            c == '.' || c == '_' || c == '~';
    if (unreserved)
      result += c;
    else
      result.append({'%', hex[byte >> 4], hex[byte & 15]});
  }
  return result;
}

std::string printable(std::string text) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  std::replace_if(text.begin(), text.end(), is_control, '?');
  return text;
}

}  // namespace farol::proxyctl
