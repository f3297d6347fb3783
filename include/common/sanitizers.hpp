#pragma once

/// What this build is instrumented with. g++ and clang say it in different ways.

#ifdef __has_feature
#define FAROL_HAS_FEATURE(feature) __has_feature(feature)
#else
#define FAROL_HAS_FEATURE(feature) 0
#endif

namespace farol {

#if defined(__SANITIZE_ADDRESS__) || FAROL_HAS_FEATURE(address_sanitizer)
inline constexpr bool kAddressSanitizer = true;
#else
inline constexpr bool kAddressSanitizer = false;
#endif
#if defined(__SANITIZE_THREAD__) || FAROL_HAS_FEATURE(thread_sanitizer)
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif

}  // namespace farol

#undef FAROL_HAS_FEATURE
