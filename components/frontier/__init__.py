"""The frontier of a sweep: what rate, distortion and usefulness its configurations trade for one another."""
