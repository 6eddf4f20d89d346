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
  id INTEGER PRIMARY KEY, at REAL NOT NULL, trial TEXT NOT NULL, role TEXT NOT NULL, model TEXT NOT NULL, key TEXT NOT NULL, k INTEGER NOT NULL, answer_scope TEXT, fresh INTEGER NOT NULL, request TEXT NOT NULL, response TEXT NOT NULL REFERENCES blobs, status INTEGER NOT NULL, tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL, dollars REAL, seconds REAL NOT NULL, retries INTEGER NOT NULL);
INSERT INTO "calls" VALUES(1,1.79585787079710459705e+09,'t1','solver','p/m','key',0,'m',0,'[{}, ["54be6d5e257598cd78171b19c59cac195dd0a7f89379c2dd1bc6e7deb8aa1f51"], "messages"]','45b619e97b5d9b029af4522e9ffb02fa99ff2bf226c82ee22a7cc10269a557e8',200,10,5,0.25,0.1,0);
INSERT INTO "calls" VALUES(2,1.79585787079792141918e+09,'t1','solver','p/m','key',1,'m',1,'[{}, ["1bd2c70502442ed765b954f633aa2ed8fbed2303b8815639c7f19c4b812aa40f"], "messages"]','015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862',200,10,5,0.25,0.1,0);
INSERT INTO "calls" VALUES(3,1.79585787079855251305e+09,'t1','solver','p/m','key',2,'m',1,'[{}, ["a92869b4949f8b8330e92e77e0c76923b03c8d302f6628b66574461443a93e36"], "messages"]','7e8059f495589fcd981232cc11d00b00da3802c01d688fa1cf1f6bed6e5bb33c',200,10,5,0.25,0.1,0);
CREATE TABLE candidates (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, parent INTEGER REFERENCES candidates, tree TEXT, subject TEXT NOT NULL, body TEXT NOT NULL, fate TEXT NOT NULL, reason TEXT NOT NULL, size INTEGER NOT NULL, fingerprint TEXT, diff TEXT REFERENCES blobs, transcript TEXT REFERENCES blobs);
INSERT INTO "candidates" VALUES(0,1.7958578707888805866e+09,NULL,'tree0','Patch 0','b','open','r',1,'f0','10c4e94434092ec0e99162a4eccb58e012eb2a0d9d6db38372d58a84cc659612','fb46c79b7eb7af175f493755b491afa9b25574a9230b8822c629f224a2df4e58');
INSERT INTO "candidates" VALUES(1,1.79585787079165101051e+09,0,'tree1','Patch 1','b','open','r',1,'f1','64e71580c2ea7aa628b77c9e993096065cf51c3e5a1dbbb112e138d5b9cc4398','fb46c79b7eb7af175f493755b491afa9b25574a9230b8822c629f224a2df4e58');
INSERT INTO "candidates" VALUES(2,1.79585787079422187807e+09,0,'tree2','Patch 2','b','open','r',1,'f2','7ff25f8956fcdb19b2b1b2e476773fae965ab4546912bf9a6c1c3a2bd42859d9','fb46c79b7eb7af175f493755b491afa9b25574a9230b8822c629f224a2df4e58');
CREATE TABLE chain (n INTEGER PRIMARY KEY, what TEXT NOT NULL, key NOT NULL, digest BLOB NOT NULL);
INSERT INTO "chain" VALUES(1,'meta',1,X'EBA4B3DB5F2F538B84E873E8B2A53192D2BB2CAE930FD15D2B87DB6F0098371F');
INSERT INTO "chain" VALUES(2,'candidates',0,X'F0B76B4886EFCC98CCB25DF07A9B7EF0341738D026D767B13E406FEFA12DE501');
INSERT INTO "chain" VALUES(3,'trials','s0-0',X'254F51017C2055B50CA9184EC6C1D1797F77AB567A0829555DD8D7BB3E155798');
INSERT INTO "chain" VALUES(4,'trials','s0-1',X'0F6095C7020934989553CBBC67C1094A4B275DD7448F42B7C64673711FABDED9');
INSERT INTO "chain" VALUES(5,'trials','s0-2',X'3A4846AF18E44E3920C5E7DE8614E3EFEA21D98E7A6EB880AF066DDD9D0BBD4D');
INSERT INTO "chain" VALUES(6,'trials','s0-3',X'16CC16026091758E4436286519333E61AE634CDE84EFB982D66F6E9AD4AFB7DD');
INSERT INTO "chain" VALUES(7,'candidates',1,X'51BBE1D53DB55FD89973946F49451D263577D959B87238954E518E09AA44FB8D');
INSERT INTO "chain" VALUES(8,'trials','s1-0',X'4FDBE1649993164CEEB93A5C2C980CB65C75E3253BC233969791B1C5718F26A6');
INSERT INTO "chain" VALUES(9,'trials','s1-1',X'C23B3912632C6EC5A84ED3381C8A7D24002F1BFA31500638E37DD14FA2C8E702');
INSERT INTO "chain" VALUES(10,'trials','s1-2',X'CB820814C13EA993DC3EA5A48132F5E914D884C869D6EA3821E801233CCDAED2');
INSERT INTO "chain" VALUES(11,'trials','s1-3',X'55EC982464E994C7C47247F46BE4042D3ACBA37B4D78F5E68771D52CDD818C15');
INSERT INTO "chain" VALUES(12,'candidates',2,X'46A7C7E7101876BB28A6FE590FE205684E9552BADD3D2D58D72037274B40426B');
INSERT INTO "chain" VALUES(13,'trials','s2-0',X'F834A61F7E7F759814C16858D5345559C47607660A142E7FC208168926C13DD6');
INSERT INTO "chain" VALUES(14,'trials','s2-1',X'FA88E589996AA675327B3D8197F5AEE7F1D6F017BED013559158B019C51725F5');
INSERT INTO "chain" VALUES(15,'trials','s2-2',X'6C40994451918C675A7D072012A340035FDF698BBC35B09BDC1734B68825709A');
INSERT INTO "chain" VALUES(16,'trials','s2-3',X'51D68ED56C18AAAC53B2062128DBC690132B525293C8970C780180183DB5D1DC');
INSERT INTO "chain" VALUES(17,'calls',1,X'10108AB9CD2FA62DCF23AB387BFE4B5F42733648B7ACB7BB91F7EB5BACC57B71');
INSERT INTO "chain" VALUES(18,'calls',2,X'164812DBC55FEB62EF8B4F84EB009DFE7C1AC294E641423D5CA99ABC043FD45F');
INSERT INTO "chain" VALUES(19,'calls',3,X'BFC90CDBDD500326D9C173B0C65F79D0C4D4B1CCADAF960BDEB536B1EC8A4E98');
INSERT INTO "chain" VALUES(20,'tests',1,X'26D9B850384CE41C252308121533472669A8750393FDFE92A04D97E230FC8AC9');
INSERT INTO "chain" VALUES(21,'meta',2,X'440CB6CBF01D7C76AB7DE0B6318F4946D3AC74CCF4F7901BC0817177A444CBF0');
INSERT INTO "chain" VALUES(22,'trials','a0',X'287F191C2A41E3272EF46428F5BCFCA4178572842821375CA3B75A3C3A4DF3A2');
INSERT INTO "chain" VALUES(23,'trials','b0',X'F676A8E37E2E7FE6C92BD0DADE3FD46FDA4D5E2026410D8B04EA0593991A7F03');
INSERT INTO "chain" VALUES(24,'pairs','1:0',X'FCD7CA8D9881ED43046C8413057FB3022EE0B1DE6DB45D39EA4610240464C1DE');
INSERT INTO "chain" VALUES(25,'trials','a1',X'5FCE5FF852AEBF13E20D45EF66012C579C454C67DFE2B57B1288FD289DDD7A20');
INSERT INTO "chain" VALUES(26,'trials','b1',X'2EDBCC65A729D23153E91D8DF66BD5C5880F51F3450D72DA091752737A2A68BB');
INSERT INTO "chain" VALUES(27,'pairs','1:1',X'F3AB77BA9ED793385541FB8BF590164F7DD985DA7869EC7437FCA9EEE7E97394');
INSERT INTO "chain" VALUES(28,'trials','a2',X'6652348F565F89780C6A2BDE4664430934F0A598A1E9FC8555125F4FD3B96700');
INSERT INTO "chain" VALUES(29,'trials','b2',X'26BB7656096D7DA0121D3754D8813946F2443A1F0387065FA9EE427F7404C455');
INSERT INTO "chain" VALUES(30,'pairs','1:2',X'AB9862C271E076453A6BA39947CC73E1E4B040AF079F0ECD8CC5A332A9BD6C10');
INSERT INTO "chain" VALUES(31,'pairs','1:3',X'ACE3A75B00851E9E36C27B81A619EB98319E94BEB9FAD8B13FF1BEAD5BC4844A');
INSERT INTO "chain" VALUES(32,'verdicts',1,X'B07F78476B72D5119E294B1BD8A34D25CDFCB94CF5EBAB50211522A5CD7DBF6E');
INSERT INTO "chain" VALUES(33,'commits','c0ffee',X'BEAA808349F72416B1139EBA215A30B3125FD7AF8C299F74DA9F734A8EFCE542');
INSERT INTO "chain" VALUES(34,'fates',1,X'866B49DFAD93C1C7C310364821318F0EB733FFE0EE116EF8375CEA2786F955F0');
INSERT INTO "chain" VALUES(35,'fates',2,X'7BE5B84ED83322E45D6798F80B12373BBA1418D189EAEC4BFA035DEE19542AAA');
INSERT INTO "chain" VALUES(36,'events',1,X'D2C900CF7B234C2795B3288618E40A98CACFD81F11AEC4F8525F310BD5C33531');
CREATE TABLE commits (
  sha TEXT PRIMARY KEY, at REAL NOT NULL, candidate INTEGER NOT NULL REFERENCES candidates, test INTEGER REFERENCES tests, parent TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "commits" VALUES('c0ffee',1.79585787080433154105e+09,1,1,'base');
CREATE TABLE events (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL);
INSERT INTO "events" VALUES(1,1.79585787080552291864e+09,'end','the budget is used up');
CREATE TABLE fates (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, candidate INTEGER NOT NULL REFERENCES candidates, fate TEXT NOT NULL, reason TEXT NOT NULL);
INSERT INTO "fates" VALUES(1,1.79585787080443334577e+09,1,'accepted','r');
INSERT INTO "fates" VALUES(2,1.7958578708048527241e+09,2,'rejected','not better');
CREATE TABLE gauges (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "gauges" VALUES('seconds','12.5');
CREATE TABLE meta (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL);
INSERT INTO "meta" VALUES(1,1795857870.78802,'suite','"abc"');
INSERT INTO "meta" VALUES(2,1.79585787079914212228e+09,'gate of test 1','{"alpha": 0.05}');
CREATE TABLE pairs (
  test INTEGER NOT NULL REFERENCES tests, pair_index INTEGER NOT NULL, at REAL NOT NULL, task TEXT NOT NULL, champion_trial TEXT REFERENCES trials, candidate_trial TEXT REFERENCES trials, void_side TEXT, PRIMARY KEY (test, pair_index)) WITHOUT ROWID;
INSERT INTO "pairs" VALUES(1,0,1.79585787079976058003e+09,'t','a0','b0',NULL);
INSERT INTO "pairs" VALUES(1,1,1.79585787080226016044e+09,'t','a1','b1',NULL);
INSERT INTO "pairs" VALUES(1,2,1.79585787080287384988e+09,'t','a2','b2',NULL);
INSERT INTO "pairs" VALUES(1,3,1.79585787080329132084e+09,'t',NULL,NULL,'champion');
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
  id INTEGER PRIMARY KEY, at REAL NOT NULL, candidate INTEGER NOT NULL REFERENCES candidates, champion INTEGER NOT NULL REFERENCES candidates, commits INTEGER NOT NULL, policy TEXT NOT NULL);
INSERT INTO "tests" VALUES(1,1.79585787079899501803e+09,1,0,0,'proven');
CREATE TABLE trials (
  id TEXT PRIMARY KEY, at REAL NOT NULL, tree TEXT NOT NULL, candidate INTEGER NOT NULL REFERENCES candidates, task TEXT NOT NULL, purpose TEXT NOT NULL, trial_index INTEGER NOT NULL, seed INTEGER NOT NULL, score REAL NOT NULL, reason TEXT NOT NULL, transcript TEXT NOT NULL REFERENCES blobs, usage TEXT NOT NULL, seconds REAL NOT NULL);
INSERT INTO "trials" VALUES('s0-0',1.79585787078950786591e+09,'tree0',0,'t','search',0,1,0.0,'ok','9bbf898968d3db516cf5b4a5e54e776619edeebd920cc775be768b1f1e5e3d70','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('s0-1',1.79585787079018712039e+09,'tree0',0,'t','search',1,1,3.33333333333333314829e-01,'ok','89edf011f5200f528209a53494fe9640f5ebcec4e3bf0298781886ab7d7d696d','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('s0-2',1.79585787079062056542e+09,'tree0',0,'t','search',2,1,6.66666666666666629659e-01,'ok','2b1e40b6d25633d20b7ac53b56eb5ff31ee86f6e1ac4400dc4aac2cdb9a3ed18','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('s0-3',1.79585787079102754586e+09,'tree0',0,'t','search',3,1,1.0,'ok','fbd49fe58cd2596f82aad827e1faf66de2be66810a999453bebc1e07d3588e9a','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('s1-0',1.79585787079216694837e+09,'tree0',1,'t','search',0,1,0.0,'ok','59ae78f2c5f1478bd7782374321b6d09ffa38472e4c9807b63d974ef8806d1a2','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('s1-1',1.79585787079265761373e+09,'tree0',1,'t','search',1,1,3.33333333333333314829e-01,'ok','8da48b841b1bfa076d39b913ee7dfbc748dfde5a151a00365f0655759b3da9d0','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('s1-2',1.79585787079320240025e+09,'tree0',1,'t','search',2,1,6.66666666666666629659e-01,'ok','cedd000505048771ebc56311948d1dfcabccf7663ad4c48a0f50087fd96106c2','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('s1-3',1.79585787079374051096e+09,'tree0',1,'t','search',3,1,1.0,'ok','1c16cf64a400ea8b8e3871a82a9c4816561b26299e172e984f30c1a39f78c41f','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('s2-0',1.79585787079471611974e+09,'tree0',2,'t','search',0,1,0.0,'ok','e6161db7948aa87fd95a27ce58a073bd20e148438832918575cf4bddad463606','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('s2-1',1.79585787079523277287e+09,'tree0',2,'t','search',1,1,3.33333333333333314829e-01,'ok','dbc19c5459f60ccb03d060f399ece1ba3b1569cbcee6693ae4c86dbe5eb90cf5','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('s2-2',1.79585787079578471179e+09,'tree0',2,'t','search',2,1,6.66666666666666629659e-01,'ok','bc97abfc821fda94c77313212a75e6ef87b838d3a5b32f2387823742f52727aa','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('s2-3',1.79585787079628562924e+09,'tree0',2,'t','search',3,1,1.0,'ok','93a674458bc88ffc83e55c035b7cc0369dc6a15ae4daf501e533126d2b5ebe9a','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('a0',1.79585787079964733121e+09,'tree0',0,'t','gate',0,1,0.0,'ok','0afa59cb3bbac1bc1c876521d8dcfb65037792b0f76a21c17cddec87e4fb5d5d','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('b0',1.79585787079972910877e+09,'tree0',1,'t','gate',0,1,1.0,'ok','1dd9205542ae25473ff8d214080c23b5710c76e9f373908eae367ab450625fd2','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('a1',1.79585787080214595795e+09,'tree0',0,'t','gate',1,1,0.0,'ok','865a0a558344e0ba21b159ec6cb60bf90421c7970c6dc7de54dc09d6c57d0eb5','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('b1',1.79585787080222964284e+09,'tree0',1,'t','gate',1,1,1.0,'ok','553b3dcce9ee96d334fc45dde237eb3e1fe5fcfebb4e96039afdfa881a68bd82','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('a2',1.79585787080276942256e+09,'tree0',0,'t','gate',2,1,0.0,'ok','eac58cc3f6994bfc25ee5e7199b6a97513943723960fcd52ecae7867a06865ff','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
INSERT INTO "trials" VALUES('b2',1.79585787080284047132e+09,'tree0',1,'t','gate',2,1,1.0,'ok','d7c2ac25e083a0389a5f09043695348fb74d63b1adc69d7b51f73b36d5c4e80e','{"calls": 1, "fresh_calls": 1, "tokens_in": 3, "tokens_out": 0, "fresh_tokens": 0, "dollars": 0.0, "unpriced": 0}',0.5);
CREATE TABLE verdicts (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, test INTEGER NOT NULL REFERENCES tests, verdict TEXT NOT NULL, decision TEXT NOT NULL);
INSERT INTO "verdicts" VALUES(1,1.795857870803828001e+09,1,'accepted','{"pairs": 3}');
CREATE INDEX calls_by_trial ON calls (trial);
CREATE INDEX trials_by_candidate ON trials (candidate, purpose, trial_index)
;
CREATE INDEX meta_by_key ON meta (key);
CREATE INDEX fates_by_candidate ON fates (candidate);
CREATE INDEX verdicts_by_test ON verdicts (test);
CREATE INDEX candidates_by_fingerprint ON candidates (fingerprint) WHERE tree IS NOT NULL;
CREATE INDEX events_by_kind ON events (kind);
CREATE TRIGGER trials_tallied AFTER INSERT ON trials BEGIN
      INSERT INTO tallies VALUES (new.candidate, new.purpose, 1, new.score, new.trial_index)
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
          link(m + 1, (SELECT digest FROM chain WHERE n = m), 'calls', new.id, new.at, new.trial, new.role, new.model, new.key, new.k, new.answer_scope, new.fresh, new.request, new.response, new.status, new.tokens_in, new.tokens_out, new.dollars, new.seconds, new.retries)
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
          link(m + 1, (SELECT digest FROM chain WHERE n = m), 'trials', new.id, new.at, new.tree, new.candidate, new.task, new.purpose, new.trial_index, new.seed, new.score, new.reason, new.transcript, new.usage, new.seconds)
        FROM (SELECT coalesce(max(n), 0) AS m FROM chain);
    END;
CREATE TRIGGER tests_linked AFTER INSERT ON tests BEGIN
      INSERT INTO chain SELECT m + 1, 'tests', new.id,
          link(m + 1, (SELECT digest FROM chain WHERE n = m), 'tests', new.id, new.at, new.candidate, new.champion, new.commits, new.policy)
        FROM (SELECT coalesce(max(n), 0) AS m FROM chain);
    END;
CREATE TRIGGER pairs_linked AFTER INSERT ON pairs BEGIN
      INSERT INTO chain SELECT m + 1, 'pairs', new.test || ':' || new.pair_index,
          link(m + 1, (SELECT digest FROM chain WHERE n = m), 'pairs', new.test, new.pair_index, new.at, new.task, new.champion_trial, new.candidate_trial, new.void_side)
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
CREATE INDEX calls_by_answer_scope ON calls (answer_scope, key, k) WHERE fresh AND answer_scope IS NOT NULL;
PRAGMA user_version = 3;
COMMIT;
