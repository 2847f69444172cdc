//! HTTP over real sockets, rows H1 and H4 to H8 of the immunity matrix among it.

mod bodies;
mod head;
mod open_gate;
mod requests;
mod responses;
