"""What can happen to a member, as tables of rows: claims and clinical records of an event are both made from its row."""
