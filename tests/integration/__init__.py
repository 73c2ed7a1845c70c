"""Tests with real Reverb servers, real TFLite and real processes."""
