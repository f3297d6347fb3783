// As src/precompiled.hpp, for the tests.
#include "../src/precompiled.hpp"

#include <catch2/catch.hpp>
