"""Images and their factors: one data set a file (`catalog`)."""

from stratigraph.data.catalog import DATASETS as DATASETS, load_dataset as load_dataset
from stratigraph.data.dataset import (
    Dataset as Dataset,
    ImageSource as ImageSource,
    to_unit as to_unit,
)
from stratigraph.data.download import what_is_here as what_is_here
from stratigraph.data.probes import (
    draw_paper_probes as draw_paper_probes,
    draw_probes as draw_probes,
)
from stratigraph.data.splits import Split as Split, split as split
