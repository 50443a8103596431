import time
import pytest
from tests.ops.test_cli import result_of, eventually, env, _order, _has_outcome
@pytest.mark.parametrize("n", range(10))
def test_x(system, database_url, env, n):
    t=time.time(); laps=[]
    def lap(n):
        nonlocal t
        laps.append((n, round(time.time()-t,2))); t=time.time()
    system.worker(); lap('worker')
    result_of("lanes","pause","orders",env=env); lap('pause')
    order=_order(database_url); lap('order')
    system.kill("worker"); eventually(lambda: system.log("worker").count("worker_ready")==2); lap('restart')
    result_of("sweep","prune_journal","--wait",env=env); lap('sweep')
    result_of("lanes","resume","orders",env=env); lap('resume')
    eventually(lambda: _has_outcome(database_url,order)); lap('outcome')
    with open("/tmp/laps.txt","a") as f:
        f.write(repr(laps)+"\n")
        if max(x for _,x in laps)>6: f.write(system.log('worker')[-3000:])
