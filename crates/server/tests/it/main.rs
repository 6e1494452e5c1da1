//! Integration tests of the binary and of what it is made of.

mod manifest;
