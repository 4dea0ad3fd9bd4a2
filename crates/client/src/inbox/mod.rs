//! Work done once: the message id and its effect in one transaction of the user's database, or guarded by Redis.
