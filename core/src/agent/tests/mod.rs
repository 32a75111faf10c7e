//! Tests of the agent as its node drives it.
