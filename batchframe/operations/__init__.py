"""Operations: what whoever runs batchframe needs beside it: logs, metrics, checks, exports and cleaning."""
