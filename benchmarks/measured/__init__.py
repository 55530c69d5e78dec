"""The contenders of the benchmarks, and how they are measured."""
