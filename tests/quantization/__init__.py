"""Tests of tfquarl.quantization."""
