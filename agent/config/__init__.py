"""campaign.yaml and its models section as typed configuration."""
