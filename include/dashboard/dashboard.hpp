#pragma once

#include <optional>
#include <string_view>

#include "dashboard/feed.hpp"
#include "dashboard/live.hpp"
#include "dashboard/page.hpp"
#include "http/response.hpp"

namespace farol::dashboard {

/// What an admin endpoint serves to a browser: the page (`/`), its live data (`/api/v1/events`) and the last 15 minutes of
/// one row, a back-end or a file server (`/api/v1/history?backend=ID`). Owned by main; borrows the feed, which must outlive it, and must outlive the
/// server that sends its responses. Any thread.
class Dashboard {
 public:
  /// A row is asked for as `row`, like `id`: a literal, and an example. The page in web/ knows the same word.
  Dashboard(Feed& feed, std::string_view row, std::string_view id) : feed_(feed), row_(row), id_(id), live_(feed) {}

  /// The answer to GET and HEAD of these three; empty for every other path.
  std::optional<http::Response> respond(const http::Request& request, std::string_view path);

  /// Another process serves the address: those who watch go to that one.
  void send_away() { live_.send_away(); }

 private:
  http::Response history(const http::Request& request);

  Feed& feed_;
  const std::string_view row_, id_;
  const Page page_;
  Live live_;
};

}  // namespace farol::dashboard
