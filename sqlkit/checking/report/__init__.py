"""What a report looks like: for people, as JSON, as commands of GitHub's Actions."""
