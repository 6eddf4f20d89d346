PRAGMA user_version = 2;
BEGIN TRANSACTION;
CREATE TABLE blobs (hash TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
INSERT INTO "blobs" VALUES('015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862',X'789CAB564A54B232AC0500082A0209');
INSERT INTO "blobs" VALUES('0afa59cb3bbac1bc1c876521d8dcfb65037792b0f76a21c17cddec87e4fb5d5d',X'789C4B3450284ECC4C010008930253');
INSERT INTO "blobs" VALUES('10c4e94434092ec0e99162a4eccb58e012eb2a0d9d6db38372d58a84cc659612',X'789C4BC94C4B5330000007A501EA');
INSERT INTO "blobs" VALUES('1bd2c70502442ed765b954f633aa2ed8fbed2303b8815639c7f19c4b812aa40f',X'789CAB564ACECF2B49CD2B51B252503254AA05002F250507');
INSERT INTO "blobs" VALUES('1c16cf64a400ea8b8e3871a82a9c4816561b26299e172e984f30c1a39f78c41f',X'789C2B36D43556284ECC4C01000CCE02C6');
INSERT INTO "blobs" VALUES('1dd9205542ae25473ff8d214080c23b5710c76e9f373908eae367ab450625fd2',X'789C4B3250284ECC4C0100089A0254');
INSERT INTO "blobs" VALUES('2b1e40b6d25633d20b7ac53b56eb5ff31ee86f6e1ac4400dc4aac2cdb9a3ed18',X'789C2B36D03552284ECC4C01000CC002C4');
INSERT INTO "blobs" VALUES('45b619e97b5d9b029af4522e9ffb02fa99ff2bf226c82ee22a7cc10269a557e8',X'789CAB564A54B232A8050008280208');
INSERT INTO "blobs" VALUES('54be6d5e257598cd78171b19c59cac195dd0a7f89379c2dd1bc6e7deb8aa1f51',X'789CAB564ACECF2B49CD2B51B252503250AA05002F220506');
INSERT INTO "blobs" VALUES('553b3dcce9ee96d334fc45dde237eb3e1fe5fcfebb4e96039afdfa881a68bd82',X'789C4B3254284ECC4C010008A00255');
INSERT INTO "blobs" VALUES('59ae78f2c5f1478bd7782374321b6d09ffa38472e4c9807b63d974ef8806d1a2',X'789C2B36D43550284ECC4C01000CBC02C3');
INSERT INTO "blobs" VALUES('64e71580c2ea7aa628b77c9e993096065cf51c3e5a1dbbb112e138d5b9cc4398',X'789C4BC94C4B5330040007A601EB');
INSERT INTO "blobs" VALUES('7e8059f495589fcd981232cc11d00b00da3802c01d688fa1cf1f6bed6e5bb33c',X'789CAB564A54B232AA0500082C020A');
INSERT INTO "blobs" VALUES('7ff25f8956fcdb19b2b1b2e476773fae965ab4546912bf9a6c1c3a2bd42859d9',X'789C4BC94C4B5330020007A701EC');
INSERT INTO "blobs" VALUES('865a0a558344e0ba21b159ec6cb60bf90421c7970c6dc7de54dc09d6c57d0eb5',X'789C4B3454284ECC4C010008990254');
INSERT INTO "blobs" VALUES('89edf011f5200f528209a53494fe9640f5ebcec4e3bf0298781886ab7d7d696d',X'789C2B36D03554284ECC4C01000CBA02C3');
INSERT INTO "blobs" VALUES('8da48b841b1bfa076d39b913ee7dfbc748dfde5a151a00365f0655759b3da9d0',X'789C2B36D43554284ECC4C01000CC202C4');
INSERT INTO "blobs" VALUES('93a674458bc88ffc83e55c035b7cc0369dc6a15ae4daf501e533126d2b5ebe9a',X'789C2B36D23556284ECC4C01000CD602C7');
INSERT INTO "blobs" VALUES('9bbf898968d3db516cf5b4a5e54e776619edeebd920cc775be768b1f1e5e3d70',X'789C2B36D03550284ECC4C01000CB402C2');
INSERT INTO "blobs" VALUES('a92869b4949f8b8330e92e77e0c76923b03c8d302f6628b66574461443a93e36',X'789CAB564ACECF2B49CD2B51B252503252AA05002F280508');
INSERT INTO "blobs" VALUES('bc97abfc821fda94c77313212a75e6ef87b838d3a5b32f2387823742f52727aa',X'789C2B36D23552284ECC4C01000CD002C6');
INSERT INTO "blobs" VALUES('cedd000505048771ebc56311948d1dfcabccf7663ad4c48a0f50087fd96106c2',X'789C2B36D43552284ECC4C01000CC802C5');
INSERT INTO "blobs" VALUES('d7c2ac25e083a0389a5f09043695348fb74d63b1adc69d7b51f73b36d5c4e80e',X'789C4B3252284ECC4C010008A60256');
INSERT INTO "blobs" VALUES('dbc19c5459f60ccb03d060f399ece1ba3b1569cbcee6693ae4c86dbe5eb90cf5',X'789C2B36D23554284ECC4C01000CCA02C5');
INSERT INTO "blobs" VALUES('e6161db7948aa87fd95a27ce58a073bd20e148438832918575cf4bddad463606',X'789C2B36D23550284ECC4C01000CC402C4');
INSERT INTO "blobs" VALUES('eac58cc3f6994bfc25ee5e7199b6a97513943723960fcd52ecae7867a06865ff',X'789C4B3452284ECC4C0100089F0255');
INSERT INTO "blobs" VALUES('fb46c79b7eb7af175f493755b491afa9b25574a9230b8822c629f224a2df4e58',X'789C2B4ECC4C0100042901A2');
INSERT INTO "blobs" VALUES('fbd49fe58cd2596f82aad827e1faf66de2be66810a999453bebc1e07d3588e9a',X'789C2B36D03556284ECC4C01000CC602C5');
CREATE TABLE calls (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, trial TEXT NOT NULL, role TEXT NOT NULL, model TEXT NOT NULL,
  key TEXT NOT NULL, k INTEGER NOT NULL, memo TEXT, fresh INTEGER NOT NULL, request TEXT NOT NULL,
  response TEXT NOT NULL REFERENCES blobs, status INTEGER NOT NULL, tokens_in INTEGER NOT NULL,
  tokens_out INTEGER NOT NULL, dollars REAL, seconds REAL NOT NULL, retries INTEGER NOT NULL);
INSERT INTO "calls" VALUES(1,1.79584753492881441113e+09,'t1','solver','p/m','key',0,'m',0,'[{}, ["54be6d5e257598cd78171b19c59cac195dd0a7f89379c2dd1bc6e7deb8aa1f51"], "messages"]','45b619e97b5d9b029af4522e9ffb02fa99ff2bf226c82ee22a7cc10269a557e8',200,10,5,0.25,0.1,0);
INSERT INTO "calls" VALUES(2,1.79584753492963814739e+09,'t1','solver','p/m','key',1,'m',1,'[{}, ["1bd2c70502442ed765b954f633aa2ed8fbed2303b8815639c7f19c4b812aa40f"], "messages"]','015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862',200,10,5,0.25,0.1,0);
INSERT INTO "calls" VALUES(3,1.79584753493029093737e+09,'t1','solver','p/m','key',2,'m',1,'[{}, ["a92869b4949f8b8330e92e77e0c76923b03c8d302f6628b66574461443a93e36"], "messages"]','7e8059f495589fcd981232cc11d00b00da3802c01d688fa1cf1f6bed6e5bb33c',200,10,5,0.25,0.1,0);
CREATE TABLE candidates (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, parent INTEGER REFERENCES candidates, tree TEXT, subject TEXT NOT NULL,
  body TEXT NOT NULL, fate TEXT NOT NULL, reason TEXT NOT NULL, size INTEGER NOT NULL, fingerprint TEXT,
  diff TEXT REFERENCES blobs, transcript TEXT REFERENCES blobs);
INSERT INTO "candidates" VALUES(0,1.79584753492120313645e+09,NULL,'tree0','Patch 0','b','open','r',1,'f0','10c4e94434092ec0e99162a4eccb58e012eb2a0d9d6db38372d58a84cc659612','fb46c79b7eb7af175f493755b491afa9b25574a9230b8822c629f224a2df4e58');
INSERT INTO "candidates" VALUES(1,1.79584753492413234715e+09,0,'tree1','Patch 1','b','open','r',1,'f1','64e71580c2ea7aa628b77c9e993096065cf51c3e5a1dbbb112e138d5b9cc4398','fb46c79b7eb7af175f493755b491afa9b25574a9230b8822c629f224a2df4e58');
INSERT INTO "candidates" VALUES(2,1.79584753492644548416e+09,0,'tree2','Patch 2','b','open','r',1,'f2','7ff25f8956fcdb19b2b1b2e476773fae965ab4546912bf9a6c1c3a2bd42859d9','fb46c79b7eb7af175f493755b491afa9b25574a9230b8822c629f224a2df4e58');
CREATE TABLE chain (n INTEGER PRIMARY KEY, what TEXT NOT NULL, key NOT NULL, digest BLOB NOT NULL);
INSERT INTO "chain" VALUES(1,'meta',1,X'D018CC9C2BB818E9830E1A08D0AE60C879DC360066ABEC5D9357B28AB5E94262');
INSERT INTO "chain" VALUES(2,'candidates',0,X'B326D9E3BE6C7224E2961467BC3AAD0292CB4301CDA74C506B11D3A4238583CA');
INSERT INTO "chain" VALUES(3,'trials','s0-0',X'F5AD2FB11C023E6CAD61B9F3F94A79D8F79EE76909CFD52DF1AB835FFC0A0BB6');
INSERT INTO "chain" VALUES(4,'trials','s0-1',X'92A91D2B9DB7FDCEAA6890239BDC918E7E441DF3E4685929F31B9618309C268F');
INSERT INTO "chain" VALUES(5,'trials','s0-2',X'B6E05CFA10DB006569A5FEB4DB30968375C3429AE475066B0BD594491658C6DD');
INSERT INTO "chain" VALUES(6,'trials','s0-3',X'A0271CAABA38B1895CE53303AA52244890BB5CBCD02A97B73C1FAD3105A8B44F');
INSERT INTO "chain" VALUES(7,'candidates',1,X'122E1B92343D67FE2564F634EF00C3B6803C37AB250639EC3D3D764556A95D1C');
INSERT INTO "chain" VALUES(8,'trials','s1-0',X'3ABCDDCFE5BF6E2FEB8CE04622D5E67921C9D08956A217286A5196C80C0EFC89');
INSERT INTO "chain" VALUES(9,'trials','s1-1',X'0850998FCCE7715BD427A19B2B78F5F09226D679512E8685E114062FFDD56B48');
INSERT INTO "chain" VALUES(10,'trials','s1-2',X'E6518EE2763F89E302ABF98BC86AC1A0F018D9188722D0051FFE11B5864BB7F2');
INSERT INTO "chain" VALUES(11,'trials','s1-3',X'589E4150506408380725E2B2E723DA8585A342D880F4C19A3818C49D73B149C5');
INSERT INTO "chain" VALUES(12,'candidates',2,X'17927B7579F303F5AD8C91983831986FFCA0B6284028DB4BF088E61D0994DD8A');
INSERT INTO "chain" VALUES(13,'trials','s2-0',X'D8FA5F71CAC439F0F76C0CD57AC74998BFC007CAE26B63ABE88D4D18D320DFB0');
INSERT INTO "chain" VALUES(14,'trials','s2-1',X'DB7E56973BB3F1F42F75962ABA5E1893BC4B31F6CBC9F72C9EC896BA0A2E1A4F');
INSERT INTO "chain" VALUES(15,'trials','s2-2',X'53BF8D761FB15742A9D35C3F7E7F36E859D2994B293F2069A3731166E786ABEB');
INSERT INTO "chain" VALUES(16,'trials','s2-3',X'223E78AD16183C4F4AEDEBBFBAB178217207B46A315B8C5877E39AC46363042F');
INSERT INTO "chain" VALUES(17,'calls',1,X'00E08CFF4AC280FBC0431F76CE5CF1930ABE05CF2701D7F390B6202D7A376E62');
INSERT INTO "chain" VALUES(18,'calls',2,X'B4651FFCF486C8EFBAF870D2F643CBACEEF5338B95C0C0FB6CA5D595DE36679E');
INSERT INTO "chain" VALUES(19,'calls',3,X'F56644EAABE1BBF2380C475BE0AF522D97FCBC08B7000CED61837CEE4CE90776');
INSERT INTO "chain" VALUES(20,'tests',1,X'C434EEFA1F6EF83DB529328D838CA086D5BB493B689509B3450F1BA56F412EB6');
INSERT INTO "chain" VALUES(21,'meta',2,X'630614770A3D04372EFDE43040EAC0656ADFA1C422E40866A76AE9637AC85D98');
INSERT INTO "chain" VALUES(22,'trials','a0',X'EC238D723779553A90D9AE63F08E97CA30D9220F7007B34B29AD059EA1FD4BA1');
INSERT INTO "chain" VALUES(23,'trials','b0',X'485439659B3DE6931F77E94C963B14D5D581C8BEA732327BF7EFC372E0EF9211');
INSERT INTO "chain" VALUES(24,'pairs','1:0',X'1E14597BF450F9677C91C7DC2BE202A2F0807E4E7ACFAC1E5BE38DAC5D0BAC6B');
INSERT INTO "chain" VALUES(25,'trials','a1',X'3DE401279C50BCAC722AA1732516311DD6D8F4C1CAEA922EED86DBFA4F6DECEA');
INSERT INTO "chain" VALUES(26,'trials','b1',X'7999955D79F137A2C490D660A1712E28B2409E5CE621EEF7A681EB31E9891F37');
INSERT INTO "chain" VALUES(27,'pairs','1:1',X'AECD3144CC3CBACDE7B12DCA75AB4A26ABF9762450E359E6CFAFC6B9B19F27CF');
INSERT INTO "chain" VALUES(28,'trials','a2',X'CFB4DD6D149F348016D6E5DB50F0BA1B68839044DA8BA219F7A0E52C8F1D2C88');
INSERT INTO "chain" VALUES(29,'trials','b2',X'4B7005F63330DE0FEF3A7FE868F5C35B89513CCA0465612E8413DDA2438169A1');
INSERT INTO "chain" VALUES(30,'pairs','1:2',X'98D9E576AD8B128109C185A91B2E852FF58F54C8FDBDA6EA304C0938E081C815');
INSERT INTO "chain" VALUES(31,'pairs','1:3',X'3506D242288D1AEBFA33CC538D407D76C1691D3F0AFA438EB8AD494987C3C512');
INSERT INTO "chain" VALUES(32,'verdicts',1,X'60D29DE277220F711AB8EFC75D8248F6D8628246E12FF36D2F44AC8229C6D6DA');
INSERT INTO "chain" VALUES(33,'commits','c0ffee',X'1A8AE1153D11FA6BAC12341B179D935EBE4D736FEA0975C10EAA567D0657FA10');
INSERT INTO "chain" VALUES(34,'fates',1,X'57BB1092C4463D82E522CD85400A15C9D27C0D9BFB7F236DB9E318D5EC87B923');
INSERT INTO "chain" VALUES(35,'fates',2,X'6243A0666B91A56B0E4BAC5DC86EA5E07429725AF004927CE81430C4E35761A6');
INSERT INTO "chain" VALUES(36,'events',1,X'48BD0DE998C87049725C603CAE1977FC92F617B5C2D15F24BC57005B93F268A7');
INSERT INTO "chain" VALUES(37,'meta',3,X'8E2B030C4FCEB0D376F6C8478F536D6E5337E54E605DFD324AB7C4AEE45B7AC8');
CREATE TABLE commits (
  sha TEXT PRIMARY KEY, at REAL NOT NULL, candidate INTEGER NOT NULL REFERENCES candidates,
  test INTEGER REFERENCES tests, parent TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "commits" VALUES('c0ffee',1.79584753493422865861e+09,1,1,'base');
CREATE TABLE events (id INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL);
INSERT INTO "events" VALUES(1,1.7958475349353330135e+09,'end','the budget is used up');
CREATE TABLE fates (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, candidate INTEGER NOT NULL REFERENCES candidates, fate TEXT NOT NULL,
  reason TEXT NOT NULL);
INSERT INTO "fates" VALUES(1,1.79584753493434667588e+09,1,'accepted','r');
INSERT INTO "fates" VALUES(2,1.79584753493489861489e+09,2,'rejected','not better');
CREATE TABLE gauges (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "gauges" VALUES('seconds','12.5');
CREATE TABLE meta (id INTEGER PRIMARY KEY, at REAL NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL);
INSERT INTO "meta" VALUES(1,1.79584753492072796829e+09,'suite','"abc"');
INSERT INTO "meta" VALUES(2,1.79584753493099689479e+09,'gate of test 1','{"alpha": 0.05}');
INSERT INTO "meta" VALUES(3,1.79584753493615746503e+09,'base','"abc"');
CREATE TABLE pairs (
  test INTEGER NOT NULL REFERENCES tests, place INTEGER NOT NULL, at REAL NOT NULL, task TEXT NOT NULL,
  champion_trial TEXT REFERENCES trials, candidate_trial TEXT REFERENCES trials, void_side TEXT,
  PRIMARY KEY (test, place)) WITHOUT ROWID;
INSERT INTO "pairs" VALUES(1,0,1.79584753493163824084e+09,'t','a0','b0',NULL);
INSERT INTO "pairs" VALUES(1,1,1.79584753493237113952e+09,'t','a1','b1',NULL);
INSERT INTO "pairs" VALUES(1,2,1.79584753493298029903e+09,'t','a2','b2',NULL);
INSERT INTO "pairs" VALUES(1,3,1.79584753493334913256e+09,'t',NULL,NULL,'champion');
CREATE TABLE spending (
  role TEXT NOT NULL, model TEXT NOT NULL, calls INTEGER NOT NULL, fresh_calls INTEGER NOT NULL,
  tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL, fresh_tokens INTEGER NOT NULL, dollars REAL NOT NULL,
  unpriced INTEGER NOT NULL, PRIMARY KEY (role, model)) WITHOUT ROWID;
INSERT INTO "spending" VALUES('solver','p/m',3,2,30,15,30,0.5,0);
CREATE TABLE tallies (
  candidate INTEGER NOT NULL, purpose TEXT NOT NULL, trials INTEGER NOT NULL, total REAL NOT NULL,
  top INTEGER NOT NULL, PRIMARY KEY (candidate, purpose)) WITHOUT ROWID;
INSERT INTO "tallies" VALUES(0,'gate',3,0.0,2);
INSERT INTO "tallies" VALUES(0,'search',4,2.0,3);
INSERT INTO "tallies" VALUES(1,'gate',3,3.0,2);
INSERT INTO "tallies" VALUES(1,'search',4,2.0,3);
INSERT INTO "tallies" VALUES(2,'search',4,2.0,3);
CREATE TABLE tests (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, candidate INTEGER NOT NULL REFERENCES candidates,
  champion INTEGER NOT NULL REFERENCES candidates, commits INTEGER NOT NULL, policy TEXT NOT NULL);
INSERT INTO "tests" VALUES(1,1.79584753493084907536e+09,1,0,0,'proven');
CREATE TABLE trials (
  id TEXT PRIMARY KEY, at REAL NOT NULL, tree TEXT NOT NULL, candidate INTEGER NOT NULL REFERENCES candidates,
  task TEXT NOT NULL, purpose TEXT NOT NULL, place INTEGER NOT NULL, seed INTEGER NOT NULL, score REAL NOT NULL,
  reason TEXT NOT NULL, transcript TEXT NOT NULL REFERENCES blobs, usage TEXT NOT NULL, seconds REAL NOT NULL);
INSERT INTO "trials" VALUES('s0-0',1.7958475349222028255e+09,'tree0',0,'t','search',0,1,0.0,'ok','9bbf898968d3db516cf5b4a5e54e776619edeebd920cc775be768b1f1e5e3d70','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('s0-1',1.7958475349227883815e+09,'tree0',0,'t','search',1,1,3.33333333333333314829e-01,'ok','89edf011f5200f528209a53494fe9640f5ebcec4e3bf0298781886ab7d7d696d','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('s0-2',1.79584753492324852939e+09,'tree0',0,'t','search',2,1,6.66666666666666629659e-01,'ok','2b1e40b6d25633d20b7ac53b56eb5ff31ee86f6e1ac4400dc4aac2cdb9a3ed18','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('s0-3',1.79584753492369079592e+09,'tree0',0,'t','search',3,1,1.0,'ok','fbd49fe58cd2596f82aad827e1faf66de2be66810a999453bebc1e07d3588e9a','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('s1-0',1.79584753492463827136e+09,'tree0',1,'t','search',0,1,0.0,'ok','59ae78f2c5f1478bd7782374321b6d09ffa38472e4c9807b63d974ef8806d1a2','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('s1-1',1.7958475349250717163e+09,'tree0',1,'t','search',1,1,3.33333333333333314829e-01,'ok','8da48b841b1bfa076d39b913ee7dfbc748dfde5a151a00365f0655759b3da9d0','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('s1-2',1.79584753492550015449e+09,'tree0',1,'t','search',2,1,6.66666666666666629659e-01,'ok','cedd000505048771ebc56311948d1dfcabccf7663ad4c48a0f50087fd96106c2','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('s1-3',1.79584753492597341533e+09,'tree0',1,'t','search',3,1,1.0,'ok','1c16cf64a400ea8b8e3871a82a9c4816561b26299e172e984f30c1a39f78c41f','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('s2-0',1.79584753492692422867e+09,'tree0',2,'t','search',0,1,0.0,'ok','e6161db7948aa87fd95a27ce58a073bd20e148438832918575cf4bddad463606','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('s2-1',1.79584753492742037767e+09,'tree0',2,'t','search',1,1,3.33333333333333314829e-01,'ok','dbc19c5459f60ccb03d060f399ece1ba3b1569cbcee6693ae4c86dbe5eb90cf5','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('s2-2',1.79584753492790198323e+09,'tree0',2,'t','search',2,1,6.66666666666666629659e-01,'ok','bc97abfc821fda94c77313212a75e6ef87b838d3a5b32f2387823742f52727aa','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('s2-3',1.79584753492836189268e+09,'tree0',2,'t','search',3,1,1.0,'ok','93a674458bc88ffc83e55c035b7cc0369dc6a15ae4daf501e533126d2b5ebe9a','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('a0',1.79584753493141531946e+09,'tree0',0,'t','gate',0,1,0.0,'ok','0afa59cb3bbac1bc1c876521d8dcfb65037792b0f76a21c17cddec87e4fb5d5d','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('b0',1795847534.93155,'tree0',1,'t','gate',0,1,1.0,'ok','1dd9205542ae25473ff8d214080c23b5710c76e9f373908eae367ab450625fd2','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('a1',1.79584753493214249612e+09,'tree0',0,'t','gate',1,1,0.0,'ok','865a0a558344e0ba21b159ec6cb60bf90421c7970c6dc7de54dc09d6c57d0eb5','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('b1',1.79584753493228316311e+09,'tree0',1,'t','gate',1,1,1.0,'ok','553b3dcce9ee96d334fc45dde237eb3e1fe5fcfebb4e96039afdfa881a68bd82','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('a2',1.79584753493277096744e+09,'tree0',0,'t','gate',2,1,0.0,'ok','eac58cc3f6994bfc25ee5e7199b6a97513943723960fcd52ecae7867a06865ff','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('b2',1.79584753493289113043e+09,'tree0',1,'t','gate',2,1,1.0,'ok','d7c2ac25e083a0389a5f09043695348fb74d63b1adc69d7b51f73b36d5c4e80e','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
CREATE TABLE verdicts (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, test INTEGER NOT NULL REFERENCES tests, verdict TEXT NOT NULL,
  decision TEXT NOT NULL);
INSERT INTO "verdicts" VALUES(1,1.79584753493374896056e+09,1,'accepted','{"pairs": 3}');
CREATE INDEX calls_by_memo ON calls (memo, key, k) WHERE fresh AND memo IS NOT NULL;
CREATE INDEX calls_by_trial ON calls (trial);
CREATE INDEX trials_by_candidate ON trials (candidate, purpose, place);
CREATE INDEX meta_by_key ON meta (key);
CREATE INDEX fates_by_candidate ON fates (candidate);
CREATE INDEX verdicts_by_test ON verdicts (test);
CREATE INDEX candidates_by_fingerprint ON candidates (fingerprint) WHERE tree IS NOT NULL;
CREATE INDEX events_by_kind ON events (kind);
CREATE TRIGGER trials_tallied AFTER INSERT ON trials BEGIN
      INSERT INTO tallies VALUES (new.candidate, new.purpose, 1, new.score, new.place)
        ON CONFLICT (candidate, purpose) DO UPDATE SET
          trials = trials + 1, total = total + excluded.total, top = max(top, excluded.top);
    END;
CREATE TRIGGER calls_tallied AFTER INSERT ON calls BEGIN
      INSERT INTO spending VALUES (
        new.role, new.model, 1, new.fresh, new.tokens_in, new.tokens_out,
        new.fresh * (new.tokens_in + new.tokens_out), coalesce(new.fresh * new.dollars, 0.0),
        new.fresh AND new.dollars IS NULL)
        ON CONFLICT (role, model) DO UPDATE SET
          calls = calls + 1, fresh_calls = fresh_calls + excluded.fresh_calls,
          tokens_in = tokens_in + excluded.tokens_in, tokens_out = tokens_out + excluded.tokens_out,
          fresh_tokens = fresh_tokens + excluded.fresh_tokens, dollars = dollars + excluded.dollars,
          unpriced = unpriced + excluded.unpriced;
    END;
CREATE TRIGGER meta_linked AFTER INSERT ON meta BEGIN
      INSERT INTO chain SELECT m + 1, 'meta', new.id,
          link(m + 1, (SELECT digest FROM chain WHERE n = m), 'meta', new.id, new.at, new.key, new.value)
        FROM (SELECT coalesce(max(n), 0) AS m FROM chain);
    END;
CREATE TRIGGER calls_linked AFTER INSERT ON calls BEGIN
      INSERT INTO chain SELECT m + 1, 'calls', new.id,
          link(m + 1, (SELECT digest FROM chain WHERE n = m), 'calls', new.id, new.at, new.trial, new.role, new.model, new.key, new.k, new.memo, new.fresh, new.request, new.response, new.status, new.tokens_in, new.tokens_out, new.dollars, new.seconds, new.retries)
        FROM (SELECT coalesce(max(n), 0) AS m FROM chain);
    END;
CREATE TRIGGER candidates_linked AFTER INSERT ON candidates BEGIN
      INSERT INTO chain SELECT m + 1, 'candidates', new.id,
          link(m + 1, (SELECT digest FROM chain WHERE n = m), 'candidates', new.id, new.at, new.parent, new.tree, new.subject, new.body, new.fate, new.reason, new.size, new.fingerprint, new.diff, new.transcript)
        FROM (SELECT coalesce(max(n), 0) AS m FROM chain);
    END;
CREATE TRIGGER fates_linked AFTER INSERT ON fates BEGIN
      INSERT INTO chain SELECT m + 1, 'fates', new.id,
          link(m + 1, (SELECT digest FROM chain WHERE n = m), 'fates', new.id, new.at, new.candidate, new.fate, new.reason)
        FROM (SELECT coalesce(max(n), 0) AS m FROM chain);
    END;
CREATE TRIGGER trials_linked AFTER INSERT ON trials BEGIN
      INSERT INTO chain SELECT m + 1, 'trials', new.id,
          link(m + 1, (SELECT digest FROM chain WHERE n = m), 'trials', new.id, new.at, new.tree, new.candidate, new.task, new.purpose, new.place, new.seed, new.score, new.reason, new.transcript, new.usage, new.seconds)
        FROM (SELECT coalesce(max(n), 0) AS m FROM chain);
    END;
CREATE TRIGGER tests_linked AFTER INSERT ON tests BEGIN
      INSERT INTO chain SELECT m + 1, 'tests', new.id,
          link(m + 1, (SELECT digest FROM chain WHERE n = m), 'tests', new.id, new.at, new.candidate, new.champion, new.commits, new.policy)
        FROM (SELECT coalesce(max(n), 0) AS m FROM chain);
    END;
CREATE TRIGGER pairs_linked AFTER INSERT ON pairs BEGIN
      INSERT INTO chain SELECT m + 1, 'pairs', new.test || ':' || new.place,
          link(m + 1, (SELECT digest FROM chain WHERE n = m), 'pairs', new.test, new.place, new.at, new.task, new.champion_trial, new.candidate_trial, new.void_side)
        FROM (SELECT coalesce(max(n), 0) AS m FROM chain);
    END;
CREATE TRIGGER verdicts_linked AFTER INSERT ON verdicts BEGIN
      INSERT INTO chain SELECT m + 1, 'verdicts', new.id,
          link(m + 1, (SELECT digest FROM chain WHERE n = m), 'verdicts', new.id, new.at, new.test, new.verdict, new.decision)
        FROM (SELECT coalesce(max(n), 0) AS m FROM chain);
    END;
CREATE TRIGGER commits_linked AFTER INSERT ON commits BEGIN
      INSERT INTO chain SELECT m + 1, 'commits', new.sha,
          link(m + 1, (SELECT digest FROM chain WHERE n = m), 'commits', new.sha, new.at, new.candidate, new.test, new.parent)
        FROM (SELECT coalesce(max(n), 0) AS m FROM chain);
    END;
CREATE TRIGGER events_linked AFTER INSERT ON events BEGIN
      INSERT INTO chain SELECT m + 1, 'events', new.id,
          link(m + 1, (SELECT digest FROM chain WHERE n = m), 'events', new.id, new.at, new.kind, new.text)
        FROM (SELECT coalesce(max(n), 0) AS m FROM chain);
    END;
CREATE TRIGGER meta_no_update BEFORE UPDATE ON meta BEGIN SELECT RAISE(ABORT, 'meta is append-only'); END;
CREATE TRIGGER meta_no_delete BEFORE DELETE ON meta BEGIN SELECT RAISE(ABORT, 'meta is append-only'); END;
CREATE TRIGGER calls_no_update BEFORE UPDATE ON calls BEGIN SELECT RAISE(ABORT, 'calls is append-only'); END;
CREATE TRIGGER calls_no_delete BEFORE DELETE ON calls BEGIN SELECT RAISE(ABORT, 'calls is append-only'); END;
CREATE TRIGGER candidates_no_update BEFORE UPDATE ON candidates BEGIN SELECT RAISE(ABORT, 'candidates is append-only'); END;
CREATE TRIGGER candidates_no_delete BEFORE DELETE ON candidates BEGIN SELECT RAISE(ABORT, 'candidates is append-only'); END;
CREATE TRIGGER fates_no_update BEFORE UPDATE ON fates BEGIN SELECT RAISE(ABORT, 'fates is append-only'); END;
CREATE TRIGGER fates_no_delete BEFORE DELETE ON fates BEGIN SELECT RAISE(ABORT, 'fates is append-only'); END;
CREATE TRIGGER trials_no_update BEFORE UPDATE ON trials BEGIN SELECT RAISE(ABORT, 'trials is append-only'); END;
CREATE TRIGGER trials_no_delete BEFORE DELETE ON trials BEGIN SELECT RAISE(ABORT, 'trials is append-only'); END;
CREATE TRIGGER tests_no_update BEFORE UPDATE ON tests BEGIN SELECT RAISE(ABORT, 'tests is append-only'); END;
CREATE TRIGGER tests_no_delete BEFORE DELETE ON tests BEGIN SELECT RAISE(ABORT, 'tests is append-only'); END;
CREATE TRIGGER pairs_no_update BEFORE UPDATE ON pairs BEGIN SELECT RAISE(ABORT, 'pairs is append-only'); END;
CREATE TRIGGER pairs_no_delete BEFORE DELETE ON pairs BEGIN SELECT RAISE(ABORT, 'pairs is append-only'); END;
CREATE TRIGGER verdicts_no_update BEFORE UPDATE ON verdicts BEGIN SELECT RAISE(ABORT, 'verdicts is append-only'); END;
CREATE TRIGGER verdicts_no_delete BEFORE DELETE ON verdicts BEGIN SELECT RAISE(ABORT, 'verdicts is append-only'); END;
CREATE TRIGGER commits_no_update BEFORE UPDATE ON commits BEGIN SELECT RAISE(ABORT, 'commits is append-only'); END;
CREATE TRIGGER commits_no_delete BEFORE DELETE ON commits BEGIN SELECT RAISE(ABORT, 'commits is append-only'); END;
CREATE TRIGGER events_no_update BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events is append-only'); END;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events is append-only'); END;
CREATE TRIGGER blobs_no_update BEFORE UPDATE ON blobs BEGIN SELECT RAISE(ABORT, 'blobs is append-only'); END;
CREATE TRIGGER blobs_no_delete BEFORE DELETE ON blobs BEGIN SELECT RAISE(ABORT, 'blobs is append-only'); END;
CREATE TRIGGER chain_no_update BEFORE UPDATE ON chain BEGIN SELECT RAISE(ABORT, 'chain is append-only'); END;
CREATE TRIGGER chain_no_delete BEFORE DELETE ON chain BEGIN SELECT RAISE(ABORT, 'chain is append-only'); END;
COMMIT;
