"""What is learned from three recordings of labelled alerts holds on a fourth."""

import pytest
from tests.quality.ait import FOLDER, figures


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the shared data set ait_ads_half is not here")
@pytest.mark.timeout(600)
def test_three_recordings_teach_a_fourth_better_than_a_table_of_signatures() -> None:
    found = figures("harrison", first=2)
    assert found.suppression > 0.92
    assert found.precision > 0.9
    assert found.suppression >= found.table_suppression
    assert found.ece < 0.05
