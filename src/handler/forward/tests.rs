//! The engine, driven by a loop that blocks.
