//! What `doctor` asks of this adapter.
