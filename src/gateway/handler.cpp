#include "gateway/handler.hpp"

#include <algorithm>

#include "gateway/conditions.hpp"
#include "gateway/download.hpp"
#include "gateway/target.hpp"
#include "http/text.hpp"

namespace farol::gateway {
namespace {

using http::Request;
using http::Response;

constexpr int kTries = 3;  ///< when the file changes before its first byte was sent

Response failed(Failure failure) {
  switch (failure) {
    case Failure::nobody_has_it:
      return http::plain(404, "no server has this file");
    case Failure::no_server:
      return http::plain(503, "no file server is available").add("Retry-After", "3");
    case Failure::no_answer:
      return http::plain(504, "the file servers do not answer");
    case Failure::server_error:
      return http::plain(502, "the file server cannot read this file");
    case Failure::version_changed:
      return http::plain(502, "the file changes too fast");
  }
  return http::plain(500, "unknown failure");
}

/// The body of a response, which tells the log and the meters how it went when it goes.
class CountedBody final : public http::BodySource {
 public:
  CountedBody(std::unique_ptr<Download> download, Meters& meters, const Logger& log, const Request& request,
              std::string client, int status, std::uint64_t length, TimePoint asked)
      : download_(std::move(download)),
        meters_(meters),
        log_(log),
        method_(request.method),
        target_(request.target),
        client_(std::move(client)),
        status_(status),
        length_(length),
        asked_(asked) {}
  ~CountedBody() override {
    const bool whole = download_->given() == length_;
    if (whole && length_ > 0) meters_.transfer_time.observe(Clock::now() - asked_);
    if (!whole && !download_->failure()) meters_.clients_gone.fetch_add(1, std::memory_order_relaxed);
    const auto tally = download_->tally();
    const char* const how = whole                  ? "whole"
                            : download_->failure() ? to_string(*download_->failure())
                                                   : "client gone";
    log_.info("request", {{"client", client_},
                          {"method", method_},
                          {"target", target_},
                          {"status", status_},
                          {"bytes", download_->given()},
                          {"duration_ms", to_ms(Clock::now() - asked_), 1},
                          {"servers", tally.servers},
                          {"asked_again", tally.asked_again},
                          {"body", how}});
  }
  Task<std::span<const std::byte>> next(Io& io) override {
    Task<std::span<const std::byte>> taking = download_->next(io);
    const std::span<const std::byte> bytes = co_await taking;
    meters_.bytes.fetch_add(bytes.size(), std::memory_order_relaxed);
    co_return bytes;
  }

 private:
  const std::unique_ptr<Download> download_;
  Meters& meters_;
  const Logger& log_;
  const std::string method_, target_, client_;
  const int status_;
  const std::uint64_t length_;
  const TimePoint asked_;
};

void describe(Response& response, const Validators& validators) {
  const auto now = std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
  response.add("ETag", validators.etag)
      .add("Last-Modified", http::http_date(std::min(validators.modified, now)))  // RFC 9110, 8.8.2.1
      .add("Cache-Control", "no-cache");
}

}  // namespace

Validators validators_of(const transfer::FileInfo& info) {
  const std::chrono::sys_time<std::chrono::nanoseconds> modified{std::chrono::nanoseconds(info.mtime_ns)};
  Validators validators{{}, std::chrono::floor<std::chrono::seconds>(modified)};
  if (!info.content) {
    validators.etag = fmt::format("W/\"{:x}-{:x}\"", info.size, static_cast<std::uint64_t>(info.mtime_ns));
    return validators;
  }
  for (const std::uint8_t byte : transfer::content_tag_of(*info.content)) validators.etag += fmt::format("{:02x}", byte);
  validators.etag = "\"" + validators.etag + "\"";
  return validators;
}

Task<Response> Handler::respond(Io& io, const Request& request, const std::string& client) const {
  if (request.method != "GET" && request.method != "HEAD") {
    log_request(request, client, 405);
    co_return http::plain(405, "want GET or HEAD").add("Allow", "GET, HEAD");
  }
  const auto path = file_of(request.target);
  if (const auto* refusal = std::get_if<Refusal>(&path)) {
    log_request(request, client, refusal->status);
    co_return http::plain(refusal->status, refusal->reason);
  }
  Task<Response> sending = send_file(io, request, client, std::get<std::string>(path));
  Response response = co_await sending;
  if (response.source() == nullptr) log_request(request, client, response.status());
  co_return response;
}

Task<Response> Handler::send_file(Io& io, const Request& request, const std::string& client,
                                  const std::string& path) const {
  const TimePoint asked = Clock::now();
  std::optional<Failure> failure;
  for (int tries = 0; tries < kTries; ++tries) {
    auto download = std::make_unique<Download>(demultiplexer_, io, path);
    Task<Fetcher::Look> looking = download->look();
    const Fetcher::Look look = co_await looking;
    failure = look.failure;
    if (failure == Failure::version_changed) continue;
    if (failure) break;
    const Validators validators = validators_of(*look.version);
    const std::uint64_t size = look.version->size;
    const Verdict verdict = judge(request, validators, size);
    Response response(verdict.status);
    if (verdict.status == 412) co_return http::plain(412, "the file is another version");
    if (verdict.status == 416)
      co_return http::plain(416, "the file is not that long").add("Content-Range", "bytes */" + std::to_string(size));
    describe(response, validators);
    if (verdict.status == 304) co_return response;
    response.add("Accept-Ranges", "bytes");
    const std::uint64_t first = verdict.range ? verdict.range->first : 0;
    const std::uint64_t end = verdict.range ? verdict.range->last + 1 : size;
    if (verdict.range) response.add("Content-Range", fmt::format("bytes {}-{}/{}", first, end - 1, size));
    if (request.method == "GET" && end > first) {
      Task<std::optional<Failure>> beginning = download->begin(first, end);
      failure = co_await beginning;
      if (failure == Failure::version_changed) continue;
      if (failure) break;
      meters_.first_byte.observe(Clock::now() - asked);
    }
    response.stream(types_.of(path), end - first,
                    std::make_unique<CountedBody>(std::move(download), meters_, log_, request, client, verdict.status,
                                                  request.method == "HEAD" ? 0 : end - first, asked));
    co_return response;
  }
  co_return failed(*failure);
}

void Handler::log_request(const Request& request, const std::string& client, int status) const {
  log_.info("request", {{"client", client}, {"method", request.method}, {"target", request.target}, {"status", status}});
}

}  // namespace farol::gateway
