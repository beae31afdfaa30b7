// Random numbers against those that are published for this generator.
#include <doctest/doctest.h>
#include <blocq/calib/random.hpp>

#include <initializer_list>

TEST_CASE("splitmix64 from 1234567") {
  blocq::calib::detail::random_numbers next(1234567), same(1234567);
  for (const std::uint64_t wanted : {6457827717110365317u, 3203168211198807973u, 9817491932198370423u,
                                     4593380528125082431u, 16408922859458223821u}) {
    CHECK(next.bits() == wanted);
    const double u = same.uniform();
    CHECK(u == static_cast<double>(wanted >> 11) / 9007199254740992.0);
  }
}
