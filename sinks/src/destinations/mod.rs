//! The destinations of alerts, one file each. In each a pure function makes the payload of a
//! [`Message`](crate::message::Message), and a thin shell sends it.
