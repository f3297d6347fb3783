#pragma once

#include <string>

#include "common/log.hpp"
#include "gateway/demultiplexer.hpp"
#include "gateway/media_types.hpp"
#include "gateway/meters.hpp"
#include "http/server.hpp"

namespace farol::gateway {

/// The report's handler: answers one HTTP request with a file from the pool. 404 only when every healthy server said
/// that it has none; 503 without servers, 504 when one kept silent, 502 when whoever has it cannot give it.
/// Owned by main; borrows the rest, which must outlive it. Any thread.
class Handler {
 public:
  Handler(Demultiplexer& demultiplexer, const MediaTypes& types, Meters& meters, const Logger& log)
      : demultiplexer_(demultiplexer), types_(types), meters_(meters), log_(log) {}

  Task<http::Response> respond(Io& io, const http::Request& request, const std::string& client) const;

 private:
  Task<http::Response> send_file(Io& io, const http::Request& request, const std::string& client,
                                 const std::string& path) const;
  void log_request(const http::Request& request, const std::string& client, int status) const;

  Demultiplexer& demultiplexer_;
  const MediaTypes& types_;
  Meters& meters_;
  const Logger& log_;
};

/// What a response says about a version: a strong entity tag once the content's hash is known, else a weak one.
struct Validators validators_of(const transfer::FileInfo& info);

}  // namespace farol::gateway
