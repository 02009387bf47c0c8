#include "io/npy.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "checkpoint_files.h"

namespace tessera {
namespace {
using ::testing::AllOf;
using testing::error_of;
using ::testing::HasSubstr;

using Npy = CheckpointFolder;

std::string npy(const std::string& header, const std::string& data) {
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size()) + '\0' + header + data;
}

TEST_F(Npy, ArraysOfEveryRankRoundTrip) {
  for (const auto& shape : std::vector<std::vector<int64_t>>{{}, {3}, {2, 3}, {2, 0, 3}, {1, 2, 3, 4}}) {
    for (const auto dtype : {torch::kFloat32, torch::kInt64}) {
      const auto x = (at::rand(shape) * 100).to(dtype);
      save_npy(folder / "x.npy", x);
      const auto read = load_npy(folder / "x.npy");
      EXPECT_EQ(read.scalar_type(), dtype);
      EXPECT_TRUE(at::equal(read, x)) << x.sizes();
    }
  }
}

TEST_F(Npy, BytesAreThoseOfNumpy) {
  save_npy(folder / "x.npy", at::arange(6).reshape({3, 2}).t());
  std::string header = "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 3), }";
  header.append(117 - header.size(), ' ');
  const auto values = at::arange(6).reshape({3, 2}).t().contiguous();
  EXPECT_EQ(bytes_of_file(folder / "x.npy"),
            npy(header + '\n', std::string(static_cast<const char*>(values.data_ptr()), 48)));
}

TEST_F(Npy, TruncationAtEveryByteIsAnError) {
  save_npy(folder / "x.npy", at::rand({2, 3}));
  const std::string whole = bytes_of_file(folder / "x.npy");
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_THROW(load_npy(write("cut.npy", whole.substr(0, length))), Error) << length;
  }
  EXPECT_THROW(load_npy(write("long.npy", whole + "x")), Error);
}

TEST_F(Npy, WhatIsNotReadIsAnErrorThatSaysWhy) {
  const auto error = [&](const std::string& header, const std::string& data = "") {
    return error_of([&] { load_npy(write("x.npy", npy(header, data))); });
  };
  EXPECT_THAT(error("{'descr': '<f8', 'fortran_order': False, 'shape': (), }"),
              AllOf(HasSubstr("<f8"), HasSubstr("x.npy")));
  EXPECT_THAT(error("{'descr': '<f4', 'fortran_order': True, 'shape': (0, 2), }"), HasSubstr("Fortran"));
  EXPECT_THAT(error("{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }", "1234"), HasSubstr("needs 16"));
  EXPECT_THAT(error("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, 9999999999), }"),
              HasSubstr("overflows"));
  for (const char* header : {"", "{", "{'descr': '<f4'}", "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
                             "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
                             "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}"}) {
    EXPECT_THAT(error(header), HasSubstr("not understood")) << header;
  }
  EXPECT_THAT(error_of([&] { load_npy(write("x.npy", "PK\x03\x04")); }), HasSubstr("not a NumPy array"));
  EXPECT_THAT(error_of([&] { save_npy(folder / "y.npy", at::ones({2}, torch::kFloat64)); }), HasSubstr("float32"));
}

}  // namespace
}  // namespace tessera
