"""What agents say and mean: concepts, performatives, roles, letters, codec, policy, errors and schemas."""
