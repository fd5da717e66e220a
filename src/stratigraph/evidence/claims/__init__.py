"""The claims that a study is asked, one file each (`catalog`)."""

from stratigraph.evidence.claims.catalog import CLAIMS as CLAIMS, ask as ask
