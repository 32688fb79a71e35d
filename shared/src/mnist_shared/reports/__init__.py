"""An evaluation's figures, pictures and page. Stands on the contracts, numpy, scikit-learn and matplotlib; no torch."""
