//! mixed_up
