"""A run folder: trained (`loop`), calibrated, evaluated (`evaluate`), exported (`export`); several processes at it."""
