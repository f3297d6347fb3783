#pragma once

#include <atomic>
#include <functional>

#include "common/clock.hpp"
#include "common/io.hpp"
#include "common/task.hpp"
#include "http/request_parser.hpp"
#include "http/response.hpp"

namespace farol::http {

class Crowd;
class StatusCounts;

/// Answers one request; may await on the Io it is handed. The request lives until the answer is there. Called for every
/// method that HTTP knows: for HEAD answer as for GET, the server leaves the body out. What it throws becomes a 500.
/// One function serves all connections at once.
using Responder = std::function<Task<Response>(Io&, const Request&)>;

/// A Responder out of a function that never waits.
Responder at_once(std::function<Response(const Request&)> respond);

struct Limits {
  RequestParser::Limits request = {};
  Duration header_timeout = std::chrono::seconds(10);  ///< from accept or first byte to the complete request
  Duration idle_timeout = std::chrono::seconds(60);    ///< between two requests
  Duration write_timeout = std::chrono::seconds(30);   ///< for each 64 KiB of a response
  Duration close_timeout = std::chrono::seconds(2);    ///< for the peer to read the last response
};

/// Serves one HTTP/1.1 connection from accept to close: keep-alive, pipelined requests in order, every time-out kept.
/// Once `*draining` is set, an idle connection ends, and any other with its present response. `crowd` may tell it to make
/// room for others, `answers` counts what is answered. `respond` and these three must outlive it. For an engine's Handler.
Task<> serve_connection(Io& io, Accepted client, const Responder& respond, Limits limits,
                        const std::atomic<bool>* draining = nullptr, Crowd* crowd = nullptr,
                        StatusCounts* answers = nullptr);

}  // namespace farol::http
