"""What people do through the one door, as steps that are checked while they run."""
