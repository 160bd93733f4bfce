"""An emulator of AWS Elemental MediaConvert: the service's own contract, real ffmpeg, and faults to order. A tool of the tests."""
