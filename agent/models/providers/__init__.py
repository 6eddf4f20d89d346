"""Who answers: SDKs, the embedded model, scripts and recordings."""
