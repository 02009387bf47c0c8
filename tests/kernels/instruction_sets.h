#pragma once
#include <gtest/gtest.h>

#include <hwy/highway.h>

namespace tessera::testing {

/// Runs check() with the kernels of each instruction set that they were compiled for and this processor has.
template <class Check>
void with_each_instruction_set(const Check& check) {
  const auto choose = [](int64_t targets) {
    hwy::SetSupportedTargetsForTest(targets);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  };
  choose(0);
  for (int64_t left = hwy::SupportedTargets() & HWY_TARGETS; left != 0; left &= left - 1) {
    const int64_t target = left & -left;
    choose(target);
    const ::testing::ScopedTrace trace(__FILE__, __LINE__, hwy::TargetName(target));
    check();
  }
  choose(0);
}

}  // namespace tessera::testing
