"""Tests of the emulator set and of the infrastructure that it carries. Run by `stack.py run -- …`, or see ../README.md."""
