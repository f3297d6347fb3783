#include "proxyctl/admin_client.hpp"

#include <curl/curl.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "common/error.hpp"
#include "proxyctl/terminal_text.hpp"

namespace farol::proxyctl {
namespace {

using nlohmann::json;

constexpr long kTimeoutMs = 5000, kUpgradeTimeoutMs = 35'000;
constexpr std::size_t kLargestReply = 64 * 1024 * 1024;
constexpr int kDeepest = 16;  // nothing that a proxy says is: JSON is copied and printed by recursion

using Handle = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;
using Headers = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

std::size_t collect(const char* data, std::size_t size, std::size_t count, void* into) {
  auto& reply = *static_cast<std::string*>(into);
  if (reply.size() + size * count > kLargestReply) return 0;  // libcurl ends the transfer
  reply.append(data, size * count);
  return size * count;
}

/// Asked by libcurl once a second at least, and whenever bytes move.
int given_up(void* flag, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::atomic<bool>*>(flag)->load() ? 1 : 0;
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

/// Discarded when it is no JSON, or nested too deep.
json parsed(const std::string& reply) {
  bool deep = false;
  const auto keep = [&](int depth, json::parse_event_t, json&) {
    deep = deep || depth > kDeepest;
    return !deep;
  };
  json content = json::parse(reply, keep, false);
  return deep ? json(json::value_t::discarded) : content;
}

}  // namespace

AdminClient::AdminClient(std::string url, std::string token) : url_(std::move(url)), token_(std::move(token)) {
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
  json status = call("/api/v1/status", nullptr);
  if (!status.contains("backends") || !status["backends"].is_array())  // an HttpGw's, perhaps
    throw std::runtime_error(url_ + " has no back-ends to tell of: it is not the admin endpoint of a reverseProxy");
  return status;
}

json AdminClient::decisions() const {
  return call("/api/v1/decisions", nullptr);
}

json AdminClient::set_state(std::string_view backend, std::string_view state,
                            std::optional<Duration> close_over) const {
  json order = {{"state", state}};
  if (close_over) order["close_over_s"] = to_seconds(*close_over);
  const std::string body = order.dump();
  json reply = call("/api/v1/backends/" + percent_encode(backend) + "/state", &body);
  if (!reply.contains("state") || !reply["state"].is_string())
    throw std::runtime_error(url_ + " does not say what became of " + std::string(backend) +
                             ": it is not the admin endpoint of a reverseProxy");
  return reply;
}

json AdminClient::upgrade() const {
  const std::string body = "{}";
  return call("/api/v1/upgrade", &body, kUpgradeTimeoutMs);
}

json AdminClient::call(const std::string& path, const std::string* body, long timeout_ms) const {
  const Handle curl(curl_easy_init(), &curl_easy_cleanup);
  if (!curl) throw std::runtime_error("libcurl does not start");
  std::string reply;
  set_common(curl.get(), url_ + path, reply);
  if (timeout_ms > 0) curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS, timeout_ms);
  if (given_up_ != nullptr && body == nullptr) {
    curl_easy_setopt(curl.get(), CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl.get(), CURLOPT_XFERINFOFUNCTION, &given_up);
    curl_easy_setopt(curl.get(), CURLOPT_XFERINFODATA, const_cast<std::atomic<bool>*>(given_up_));
  }
  Headers headers(nullptr, &curl_slist_free_all);
  if (body != nullptr) {
    headers.reset(curl_slist_append(nullptr, "Content-Type: application/json"));
    if (!token_.empty()) curl_slist_append(headers.get(), ("Authorization: Bearer " + token_).c_str());
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
  const json content = parsed(reply);
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

}  // namespace farol::proxyctl
