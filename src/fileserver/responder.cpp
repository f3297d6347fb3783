#include "fileserver/responder.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace farol::fileserver {
namespace {

using transfer::NotFoundReason;
using transfer::RequestFile;
using transfer::RequestMode;

/// The chunks of the mask that the file has.
std::uint64_t within(const RequestFile& what, std::uint64_t size) {
  if (what.mode == RequestMode::stat) return 0;
  const std::uint64_t chunks = transfer::chunks_of(size, what.chunk_size);
  if (what.first_chunk >= chunks) return 0;
  const std::uint64_t left = chunks - what.first_chunk;
  return left >= transfer::kMaskChunks ? what.mask : what.mask & ((std::uint64_t{1} << left) - 1);
}

/// Takes up to kBurstChunks chunks off the mask, the lowest first; their numbers.
std::vector<std::uint64_t> take_chunks(RequestFile& what) {
  std::vector<std::uint64_t> numbers;
  while (what.mask != 0 && numbers.size() < Responder::kBurstChunks) {
    numbers.push_back(what.first_chunk + static_cast<unsigned>(std::countr_zero(what.mask)));
    what.mask &= what.mask - 1;
  }
  return numbers;
}

std::size_t size_of_chunk(std::uint64_t number, std::size_t chunk_size, std::uint64_t file_size) {
  return static_cast<std::size_t>(std::min<std::uint64_t>(chunk_size, file_size - number * chunk_size));
}

}  // namespace

void Responder::ask(std::uint32_t request, RequestFile what) {
  Job job{request, std::move(what), nullptr, std::nullopt};
  if (jobs_.size() - refused_ >= kMostQueued) {
    if (refused_ >= kMostRefused) return;
    job.refused = NotFoundReason::busy;
    ++refused_;
  }
  jobs_.push_back(std::move(job));
}

void Responder::cancel(std::uint32_t request, std::uint64_t mask) {
  for (Job& job : jobs_)
    if (job.request == request) job.what.mask &= ~mask;
}

void Responder::clear() {
  jobs_.clear();
  refused_ = 0;
}

void Responder::open(Job& job) {
  ++requests_;
  const bool present = job.what.mode != RequestMode::data;
  auto found = present && job.what.tag == transfer::VersionTag{} ? files_.open(job.what.path)
                                                                 : files_.open(job.what.path, job.what.tag);
  if (const auto* reason = std::get_if<NotFoundReason>(&found)) {
    job.refused = *reason;
    ++refused_;
    return;
  }
  job.file = std::get<std::shared_ptr<const OpenFile>>(std::move(found));
  job.what.mask = within(job.what, job.file->state().size);
}

std::optional<Burst> Responder::next(transfer::Sealer& sealer, std::uint32_t session, TimePoint now) {
  while (!jobs_.empty() && now >= next_burst_) {
    Job& job = jobs_.front();
    if (!job.refused && job.file == nullptr) open(job);
    if (!job.refused && job.what.mode != RequestMode::data) {
      const auto info = files_.info(job.file);
      job.what.mode = RequestMode::data;
      return single(info, job.request, sealer, session);
    }
    std::optional<Burst> burst;
    if (!job.refused && job.what.mask != 0) {
      burst = chunk_burst(job, sealer, session);
      if (burst && job.what.pace_us != 0) next_burst_ = now + std::chrono::microseconds(job.what.pace_us);
    }
    if (job.refused) {
      burst = single(transfer::FileNotFound{*job.refused}, job.request, sealer, session);
      refusals_.push_back({std::move(job.what.path), *job.refused});
      --refused_;
      jobs_.pop_front();
    } else if (job.what.mask == 0) {
      jobs_.pop_front();
    }
    if (burst) return burst;
  }
  return std::nullopt;
}

Burst Responder::single(const transfer::Message& message, std::uint32_t request, transfer::Sealer& sealer,
                        std::uint32_t session) {
  const auto datagram = std::span(buffer_).first(transfer::encode(message, session, request, buffer_));
  sealer.seal(datagram);
  return {datagram, datagram.size()};
}

/// Empty, with job.refused set, when the file turned out to have changed: nothing of the burst is sent then.
std::optional<Burst> Responder::chunk_burst(Job& job, transfer::Sealer& sealer, std::uint32_t session) {
  const std::size_t chunk_size = job.what.chunk_size;
  const std::size_t stride = chunk_size + transfer::kOverhead + 8;
  const std::uint64_t file_size = job.file->state().size;
  const auto numbers = take_chunks(job.what);
  std::array<iovec, kBurstChunks> places;
  for (std::size_t i = 0; i < numbers.size(); ++i)
    places[i] = {buffer_.data() + i * stride + transfer::kChunkDataAt,
                 size_of_chunk(numbers[i], chunk_size, file_size)};

  bool read = true;
  for (std::size_t from = 0, to; from < numbers.size(); from = to) {  // each run of neighbours with one read
    for (to = from + 1; to < numbers.size() && numbers[to] == numbers[to - 1] + 1;) ++to;
    read = read && job.file->read(numbers[from] * chunk_size, std::span(places).subspan(from, to - from));
  }
  if (!job.file->unchanged() || !read) {
    job.refused = job.file->unchanged() ? NotFoundReason::io_error : NotFoundReason::version_changed;
    ++refused_;
    return std::nullopt;
  }

  std::size_t end = 0;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const std::size_t data = size_of_chunk(numbers[i], chunk_size, file_size);
    const bool last = numbers[i] * chunk_size + data == file_size;
    const auto room = std::span(buffer_).subspan(i * stride);
    const auto datagram = room.first(transfer::encode_chunk_around(numbers[i], last, data, session, job.request, room));
    sealer.seal(datagram);
    end = i * stride + datagram.size();
  }
  chunks_ += numbers.size();
  return Burst{std::span(buffer_).first(end), stride};
}

}  // namespace farol::fileserver
