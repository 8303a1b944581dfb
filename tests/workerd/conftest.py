"""Have pytest tell what an assertion of a case compared, where the case runs on the host."""

import pytest

pytest.register_assert_rewrite("tests.workerd.cases")
