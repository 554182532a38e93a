PRAGMA user_version = 2;
BEGIN TRANSACTION;
CREATE TABLE claim (
    run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
    claim_id TEXT NOT NULL,
    verdict TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (run, claim_id)
) WITHOUT ROWID
;
INSERT INTO "claim" VALUES(2,'made/steeper','fails','{"id":"steeper","release":"made","kind":"order","text":"It is.","metric":"loss","dataset":"imagenet-val","protocol":"plain","source":"table","source_title":"T","source_url":"https://example.org","expected":"holds","verdict":"fails","findings":[{"subject":"slope","value":0.1,"interval":[0.0,0.2],"origin":"fit","wanted":"above 0","verdict":"undecided"}],"curves":[],"missing":[],"reason":"","note":""}');
CREATE TABLE comparison (
    result INTEGER NOT NULL REFERENCES result ON DELETE CASCADE,
    place INTEGER NOT NULL,
    reference INTEGER NOT NULL REFERENCES reference,
    verdict TEXT NOT NULL,
    measured REAL,
    difference REAL,
    difference_images REAL,
    reason TEXT NOT NULL, details TEXT NOT NULL DEFAULT '{}',
    PRIMARY KEY (result, place)
) WITHOUT ROWID;
INSERT INTO "comparison" VALUES(1,0,1,'reproduced',76.5,0.0,0.0,'','{"interval":null,"spread":"","tolerance_images":25.25,"xfail":""}');
INSERT INTO "comparison" VALUES(1,1,2,'reproduced',0.8001,0.0001,NULL,'','{"interval":null,"spread":"","tolerance_images":null,"xfail":""}');
INSERT INTO "comparison" VALUES(2,0,1,'reproduced',76.5,0.0,0.0,'','{"interval":null,"spread":"","tolerance_images":25.25,"xfail":""}');
INSERT INTO "comparison" VALUES(2,1,2,'reproduced',0.8001,0.0001,NULL,'','{"interval":null,"spread":"","tolerance_images":null,"xfail":""}');
INSERT INTO "comparison" VALUES(3,0,1,'not run',NULL,NULL,NULL,'','{"interval":null,"spread":"","tolerance_images":25.25,"xfail":""}');
INSERT INTO "comparison" VALUES(3,1,2,'not run',NULL,NULL,NULL,'','{"interval":null,"spread":"","tolerance_images":null,"xfail":""}');
INSERT INTO "comparison" VALUES(4,0,1,'reproduced',76.5,0.0,0.0,'','{"interval":null,"spread":"","tolerance_images":25.25,"xfail":""}');
INSERT INTO "comparison" VALUES(4,1,2,'reproduced',0.8001,0.0001,NULL,'','{"interval":null,"spread":"","tolerance_images":null,"xfail":""}');
INSERT INTO "comparison" VALUES(5,0,1,'reproduced',76.5,0.0,0.0,'','{"interval":null,"spread":"","tolerance_images":25.25,"xfail":""}');
INSERT INTO "comparison" VALUES(5,1,2,'reproduced',0.8001,0.0001,NULL,'','{"interval":null,"spread":"","tolerance_images":null,"xfail":""}');
INSERT INTO "comparison" VALUES(6,0,1,'below',76.2,-0.3,-150.0,'','{"interval":null,"spread":"","tolerance_images":25.25,"xfail":""}');
INSERT INTO "comparison" VALUES(6,1,2,'reproduced',0.8001,0.0001,NULL,'','{"interval":null,"spread":"","tolerance_images":null,"xfail":""}');
INSERT INTO "comparison" VALUES(8,0,1,'expected divergence',76.5,0.0,0.0,'','{"interval":{"high":80.25,"low":70.1},"spread":"0.1","tolerance_images":25.25,"xfail":"known"}');
CREATE TABLE dataset (
    fingerprint TEXT PRIMARY KEY,
    content BLOB NOT NULL
) WITHOUT ROWID
;
INSERT INTO "dataset" VALUES('cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd',X'FD377A585A000004E6D6B4460200210110000000A8708E86E0004600395D003D8888C6D40CAAFC33DE46ED6098D890087F5E4DFEF2D9D4C7A42B9A4E5DD91B723C9C107763F1332F056121F45730CE6AE1D33BC53B2F0000000000009F6DE1169DDE96790001554709C8F20F1FB6F37D010000000004595A');
CREATE TABLE environment (
    id INTEGER PRIMARY KEY,
    content TEXT NOT NULL UNIQUE
);
INSERT INTO "environment" VALUES(1,'{"commit":"0123456789abcdef","cores":8,"cpu":"a processor","cuda":"13.0","decoder":"Pillow 13.0.0; libjpeg-turbo 3.1.2","device":"a graphics card","dirty":false,"driver":"580.1","packages":{"open_clip_torch":"3.3.0","pytest-repro":"0.1.0","timm":"1.0.31","torch":"2.15.0","torchvision":"0.29.0"},"python":"3.13.1","system":"Linux-6.1-x86_64"}');
INSERT INTO "environment" VALUES(2,'{"commit":"fedcba","cores":8,"cpu":"a processor","cuda":"13.0","decoder":"Pillow 13.0.0; libjpeg-turbo 3.1.2","device":"another card","dirty":true,"driver":"580.1","packages":{"open_clip_torch":"3.3.0","pytest-repro":"0.1.0","timm":"1.0.31","torch":"2.15.0","torchvision":"0.29.0"},"python":"3.13.1","system":"Linux-6.1-x86_64"}');
CREATE TABLE measurement (
    result INTEGER PRIMARY KEY REFERENCES result ON DELETE CASCADE,
    identity TEXT NOT NULL,
    environment INTEGER NOT NULL REFERENCES environment,
    prediction INTEGER REFERENCES prediction ON DELETE SET NULL,
    images INTEGER NOT NULL,
    total INTEGER NOT NULL,
    top1 INTEGER NOT NULL,
    top5 INTEGER NOT NULL,
    loss_sum REAL NOT NULL,
    seconds REAL NOT NULL,
    weights_sha256 TEXT NOT NULL,
    dataset_fingerprint TEXT NOT NULL,
    details TEXT NOT NULL
);
INSERT INTO "measurement" VALUES(1,'key of 1M',1,1,50000,50000,38250,46500,40005.0,61.5,'abababababababababababababababababababababababababababababababab','cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd','{"accelerations":[{"difference":0.00001,"name":"compile","reason":"","used":true}],"calibration_error":0.03333333333333333,"conditions":"alike","device":"cuda:0","intervals":{},"metrics":{"others":{}},"precision":"fp32","stopped_early":false,"weights":"weights/real/1M.pt","workers":2}');
INSERT INTO "measurement" VALUES(2,'key of 2M',1,2,50000,50000,38250,46500,40005.0,61.5,'abababababababababababababababababababababababababababababababab','cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd','{"accelerations":[],"calibration_error":null,"conditions":"","device":"cuda:0","intervals":{},"metrics":{"others":{}},"precision":"fp32","stopped_early":false,"weights":"weights/real/1M.pt","workers":1}');
INSERT INTO "measurement" VALUES(4,'key of 1M again',2,1,50000,50000,38250,46500,40005.0,3.00000000000000044408e-01,'abababababababababababababababababababababababababababababababab','cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd','{"accelerations":[],"calibration_error":null,"conditions":"","device":"cuda:0","intervals":{},"metrics":{"others":{}},"precision":"fp32","stopped_early":false,"weights":"weights/real/1M.pt","workers":1}');
INSERT INTO "measurement" VALUES(5,'key of 1M elsewhere',2,2,50000,50000,38250,46500,40005.0,61.5,'abababababababababababababababababababababababababababababababab','cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd','{"accelerations":[],"calibration_error":null,"conditions":"","device":"cuda:0","intervals":{},"metrics":{"others":{}},"precision":"fp32","stopped_early":false,"weights":"weights/real/1M.pt","workers":1}');
INSERT INTO "measurement" VALUES(6,'',1,NULL,50000,50000,38250,46500,40005.0,61.5,'abababababababababababababababababababababababababababababababab','cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd','{"accelerations":[],"calibration_error":null,"conditions":"","device":"cuda:0","intervals":{},"metrics":{"others":{}},"precision":"fp32","stopped_early":false,"weights":"weights/real/1M.pt","workers":1}');
INSERT INTO "measurement" VALUES(7,'',1,NULL,50000,50000,38250,46500,40005.0,61.5,'abababababababababababababababababababababababababababababababab','cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd','{"accelerations":[],"calibration_error":null,"conditions":"","device":"cuda:0","intervals":{},"metrics":{"others":{}},"precision":"fp32","stopped_early":false,"weights":"weights/real/1M.pt","workers":1}');
INSERT INTO "measurement" VALUES(8,'',1,NULL,1000,60000,765,930,40005.0,61.5,'abababababababababababababababababababababababababababababababab','cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd','{"accelerations":[],"calibration_error":null,"conditions":"","device":"cuda:0","intervals":{"top1":{"high":80.25,"low":70.1}},"metrics":{"others":{"mean_per_class":"17/20"}},"precision":"fp32","stopped_early":true,"weights":"weights/real/1M.pt","workers":1}');
CREATE TABLE prediction (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    content BLOB NOT NULL
);
INSERT INTO "prediction" VALUES(1,'c8a85c7d9a2449dd1e7b7475d614fd8c57accbb9da2241dcb96b7acef042be5a',X'504B03042D00000008000000210036DCC21EFFFFFFFFFFFFFFFF0900140066697273742E6E707901001000940000000000000055000000000000009BEC17EA1B10C9C850C650AD9E925A9C5CA46EA5A05E536AA8AEA3A09E965F54529498179F5F94920A12774BCC294E058A17672416A402F91A46063A9A3A0AB50AE4032E0620606264646266620621162616161600504B03042D000000080000002100EB8EB051FFFFFFFFFFFFFFFF09001400706C6163652E6E70790100100094000000000000004F000000000000009BEC17EA1B10C9C850C650AD9E925A9C5CA46EA5A05E536AA8AEA3A09E965F54529498179F5F94920A12774BCC294E058A17672416A402F91A46063A9A3A0AB50AE4032E0620606460014206380600504B03042D0000000800000021005A6F1D67FFFFFFFFFFFFFFFF0900140077696474682E6E707901001000810000000000000043000000000000009BEC17EA1B10C9C850C650AD9E925A9C5CA46EA5A05E536AA8AEA3A09E965F54529498179F5F94920A12774BCC294E058A17672416A402F91A9A3A0AB50A14012E5600504B03042D000000080000002100325E0F39FFFFFFFFFFFFFFFF0A0014006C6162656C732E6E707901001000940000000000000051000000000000009BEC17EA1B10C9C850C650AD9E925A9C5CA46EA5A05E536AA8AEA3A09E965F54529498179F5F94920A12774BCC294E058A17672416A402F91A46063A9A3A0AB50AE4032E06206064640202661060010100504B03042D000000080000002100ABAC57EFFFFFFFFFFFFFFFFF0900140073746570732E6E707901001000940000000000000049000000000000009BEC17EA1B10C9C850C650AD9E925A9C5CA46EA5A05E536AA8AEA3A09E965F54529498179F5F94920A12774BCC294E058A17672416A402F91A46063A9A3A0AB50AE4032E06464C0000504B03042D000000080000002100FFC4D897FFFFFFFFFFFFFFFF0A0014006C6F737365732E6E707901001000A8000000000000006E000000000000009BEC17EA1B10C9C850C650AD9E925A9C5CA46EA5A06E9366A4AEA3A09E965F54529498179F5F94920A12774BCC294E058A17672416A402F91A46063A9A3A0AB50AE4032E3F3B6F2B79871BE6534D5E9AAD70643637B3AFB0E1352DB3B0375D6C2269BBD46E86629943A175AE0300504B03042D000000080000002100EB8EC49EFFFFFFFFFFFFFFFF09001400746F74616C2E6E707901001000880000000000000046000000000000009BEC17EA1B10C9C850C650AD9E925A9C5CA46EA5A06E9369A1AEA3A09E965F54529498179F5F94920A12774BCC294E058A17672416A402F91A9A3A0AB50A14012E1106080000504B01022D032D00000008000000210036DCC21E550000009400000009000000000000000000000080010000000066697273742E6E7079504B01022D032D000000080000002100EB8EB0514F00000094000000090000000000000000000000800190000000706C6163652E6E7079504B01022D032D0000000800000021005A6F1D67430000008100000009000000000000000000000080011A01000077696474682E6E7079504B01022D032D000000080000002100325E0F3951000000940000000A00000000000000000000008001980100006C6162656C732E6E7079504B01022D032D000000080000002100ABAC57EF490000009400000009000000000000000000000080012502000073746570732E6E7079504B01022D032D000000080000002100FFC4D8976E000000A80000000A00000000000000000000008001A90200006C6F737365732E6E7079504B01022D032D000000080000002100EB8EC49E4600000088000000090000000000000000000000800153030000746F74616C2E6E7079504B0506000000000700070083010000D40300000000');
INSERT INTO "prediction" VALUES(2,'d499119a733b1647444d912c86b1c42452b272a15eda4349d7c6cd71c2a45c09',X'504B03042D000000080000002100F80885E4FFFFFFFFFFFFFFFF0900140066697273742E6E707901001000940000000000000055000000000000009BEC17EA1B10C9C850C650AD9E925A9C5CA46EA5A05E536AA8AEA3A09E965F54529498179F5F94920A12774BCC294E058A17672416A402F91A46063A9A3A0AB50AE4032E0606066646206062626264606666010100504B03042D0000000800000021004B4F7C17FFFFFFFFFFFFFFFF09001400706C6163652E6E70790100100094000000000000004F000000000000009BEC17EA1B10C9C850C650AD9E925A9C5CA46EA5A05E536AA8AEA3A09E965F54529498179F5F94920A12774BCC294E058A17672416A402F91A46063A9A3A0AB50AE4032E0606066606086062813200504B03042D0000000800000021005A6F1D67FFFFFFFFFFFFFFFF0900140077696474682E6E707901001000810000000000000043000000000000009BEC17EA1B10C9C850C650AD9E925A9C5CA46EA5A05E536AA8AEA3A09E965F54529498179F5F94920A12774BCC294E058A17672416A402F91A9A3A0AB50A14012E5600504B03042D000000080000002100C468B7CCFFFFFFFFFFFFFFFF0A0014006C6162656C732E6E707901001000940000000000000051000000000000009BEC17EA1B10C9C850C650AD9E925A9C5CA46EA5A05E536AA8AEA3A09E965F54529498179F5F94920A12774BCC294E058A17672416A402F91A46063A9A3A0AB50AE4032E06206004022610606666010100504B03042D000000080000002100ABAC57EFFFFFFFFFFFFFFFFF0900140073746570732E6E707901001000940000000000000049000000000000009BEC17EA1B10C9C850C650AD9E925A9C5CA46EA5A05E536AA8AEA3A09E965F54529498179F5F94920A12774BCC294E058A17672416A402F91A46063A9A3A0AB50AE4032E06464C0000504B03042D000000080000002100498A4257FFFFFFFFFFFFFFFF0A0014006C6F737365732E6E707901001000A8000000000000006E000000000000009BEC17EA1B10C9C850C650AD9E925A9C5CA46EA5A06E9366A4AEA3A09E965F54529498179F5F94920A12774BCC294E058A17672416A402F91A46063A9A3A0AB50AE403AE5B36EC56FE8E97ED8B6CCB5DFC6DBFD94CB710B699A27FDFFEB05E896E874DA2F50CB3269B5F76F68600504B03042D000000080000002100EB8EC49EFFFFFFFFFFFFFFFF09001400746F74616C2E6E707901001000880000000000000046000000000000009BEC17EA1B10C9C850C650AD9E925A9C5CA46EA5A06E9369A1AEA3A09E965F54529498179F5F94920A12774BCC294E058A17672416A402F91A9A3A0AB50A14012E1106080000504B01022D032D000000080000002100F80885E4550000009400000009000000000000000000000080010000000066697273742E6E7079504B01022D032D0000000800000021004B4F7C174F00000094000000090000000000000000000000800190000000706C6163652E6E7079504B01022D032D0000000800000021005A6F1D67430000008100000009000000000000000000000080011A01000077696474682E6E7079504B01022D032D000000080000002100C468B7CC51000000940000000A00000000000000000000008001980100006C6162656C732E6E7079504B01022D032D000000080000002100ABAC57EF490000009400000009000000000000000000000080012502000073746570732E6E7079504B01022D032D000000080000002100498A42576E000000A80000000A00000000000000000000008001A90200006C6F737365732E6E7079504B01022D032D000000080000002100EB8EC49E4600000088000000090000000000000000000000800153030000746F74616C2E6E7079504B0506000000000700070083010000D40300000000');
CREATE TABLE reference (
    id INTEGER PRIMARY KEY,
    content TEXT NOT NULL UNIQUE
);
INSERT INTO "reference" VALUES(1,'{"metric":"top1","published":"76.500","source":"table","source_title":"Table 2 of the paper","source_url":"https://example.org/paper","tolerance":0.0505,"tolerance_origin":"25 of 50,000 images plus half a printed digit"}');
INSERT INTO "reference" VALUES(2,'{"metric":"loss","published":"0.800000","source":"table","source_title":"Table 2 of the paper","source_url":"https://example.org/paper","tolerance":0.0008,"tolerance_origin":"25 of 50,000 images plus half a printed digit"}');
CREATE TABLE result (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
    subject INTEGER NOT NULL REFERENCES subject,
    recorded REAL NOT NULL,
    verdict TEXT NOT NULL,
    reason TEXT NOT NULL,
    details TEXT NOT NULL,
    UNIQUE (run, subject)
);
INSERT INTO "result" VALUES(1,1,1,1750000001.25,'reproduced','','{"diagnosis":null,"since":null}');
INSERT INTO "result" VALUES(2,1,2,1750000002.25,'reproduced','','{"diagnosis":null,"since":null}');
INSERT INTO "result" VALUES(3,1,3,1750000003.25,'not run','no weights: get them from their publisher','{"diagnosis":null,"since":null}');
INSERT INTO "result" VALUES(4,2,4,1750000006.25,'reproduced','','{"diagnosis":null,"since":null}');
INSERT INTO "result" VALUES(5,2,5,1750000007.25,'reproduced','','{"diagnosis":null,"since":null}');
INSERT INTO "result" VALUES(6,2,2,1750000008.25,'below','The labels, likely.','{"diagnosis":{"advice":"look","cause":"crop 0.9","images":500,"outcome":"likely","sentence":"Evaluated with a crop of 0.9.","topic":"geometry","total":5000,"trials":[{"compared":499,"fit":-1.0625,"gained":3,"images":500,"instead":"0.875","lost":1,"outcome":"likely","p":0.625,"restored":[{"error":0.1,"is_met":true,"measured":76.2,"metric":"top1","published":"76.500","share":null,"value":76.499}],"suspect":"crop 0.9","topic":"geometry"}],"untried":{"x":"no time"}},"since":{"difference":{"after":{"images":50000,"loss_sum":40005.0,"others":{},"top1":38100,"top5":46500},"before":{"images":50000,"loss_sum":40005.0,"others":{},"top1":38250,"top5":46500},"case":"supervised/real/2M@plain","environment":[],"flips":{"gained":10,"images":50000,"lost":160,"p":1e-30},"images":{"after":3,"before":3,"changed":{"evaluated":1,"gained":0,"images":1,"lost":1,"names":["a"],"right_after":0,"right_before":1},"missing":{"evaluated":null,"gained":null,"images":0,"lost":null,"names":[],"right_after":null,"right_before":null},"new":{"evaluated":null,"gained":null,"images":0,"lost":null,"names":[],"right_after":null,"right_before":null},"relabelled":{"evaluated":null,"gained":null,"images":0,"lost":null,"names":[],"right_after":null,"right_before":null},"same":2},"others":[],"published":[{"after":null,"before":"76.5","name":"top1"}],"unknown":["something"],"weights":{"after":"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd","before":"abababababababababababababababababababababababababababababababab","name":"weights"}},"run":1,"verdict":"reproduced"}}');
INSERT INTO "result" VALUES(7,2,6,1750000009.25,'unreferenced','','{"diagnosis":null,"since":null}');
INSERT INTO "result" VALUES(8,2,7,1750000010.25,'inconclusive','','{"diagnosis":null,"since":null}');
CREATE TABLE run (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL UNIQUE,
    started REAL NOT NULL,
    finished REAL,
    exit_status INTEGER,
    planned INTEGER NOT NULL,
    arguments TEXT NOT NULL,
    git_commit TEXT NOT NULL,
    dirty INTEGER NOT NULL
);
INSERT INTO "run" VALUES(1,'first',1750000000.25,1750000004.25,0,3,'["-k","real"]','0123abcd',1);
INSERT INTO "run" VALUES(2,'second',1750000005.25,NULL,NULL,5,'[]','',0);
CREATE TABLE subject (
    id INTEGER PRIMARY KEY,
    case_id TEXT NOT NULL,
    content TEXT NOT NULL UNIQUE
);
INSERT INTO "subject" VALUES(1,'supervised/real/1M@plain','{"asked":{"digest":"","settings":{}},"checkpoint":"1M","conditions":"","dataset":"imagenet-val","family":"supervised/real","geometry":"rgb|resize(256,bilinear)|center_crop(224)","id":"supervised/real/1M@plain","position":[0,100],"protocol":"plain","release":"made","training_images":1000000}');
INSERT INTO "subject" VALUES(2,'supervised/real/2M@plain','{"asked":{"digest":"","settings":{}},"checkpoint":"2M","conditions":"","dataset":"imagenet-val","family":"supervised/real","geometry":"rgb|resize(256,bilinear)|center_crop(224)","id":"supervised/real/2M@plain","position":[0,200],"protocol":"plain","release":"made","training_images":2000000}');
INSERT INTO "subject" VALUES(3,'supervised/real/4M@plain','{"asked":{"digest":"","settings":{}},"checkpoint":"4M","conditions":"","dataset":"imagenet-val","family":"supervised/real","geometry":"rgb|resize(256,bilinear)|center_crop(224)","id":"supervised/real/4M@plain","position":[0,400],"protocol":"plain","release":"made","training_images":4000000}');
INSERT INTO "subject" VALUES(4,'supervised/real/1M@plain','{"asked":{"digest":"a","settings":{"precision":"bf16"}},"checkpoint":"1M","conditions":"","dataset":"imagenet-val","family":"supervised/real","geometry":"rgb|resize(256,bilinear)|center_crop(224)","id":"supervised/real/1M@plain","position":[0,100],"protocol":"plain","release":"made","training_images":1000000}');
INSERT INTO "subject" VALUES(5,'supervised/real/1M@plain','{"asked":{"digest":"b","settings":{}},"checkpoint":"1M","conditions":"","dataset":"imagenet-val","family":"supervised/real","geometry":"rgb|resize(256,bilinear)|center_crop(224)","id":"supervised/real/1M@plain","position":[0,100],"protocol":"plain","release":"another","training_images":1000000}');
INSERT INTO "subject" VALUES(6,'supervised/real/8M@plain','{"asked":{"digest":"","settings":{}},"checkpoint":"8M","conditions":"","dataset":"imagenet-val","family":"supervised/real","geometry":"rgb|resize(256,bilinear)|center_crop(224)","id":"supervised/real/8M@plain","position":[0,800],"protocol":"plain","release":"made","training_images":null}');
INSERT INTO "subject" VALUES(7,'supervised/real/16M@plain','{"asked":{"digest":"","settings":{}},"checkpoint":"16M","conditions":"","dataset":"imagenet-val","family":"supervised/real","geometry":"rgb|resize(256,bilinear)|center_crop(224)","id":"supervised/real/16M@plain","position":[0,1600],"protocol":"plain","release":"made","training_images":16000000}');
CREATE INDEX subject_case ON subject (case_id);
CREATE INDEX result_subject ON result (subject);
CREATE INDEX measurement_identity ON measurement (identity);
CREATE INDEX measurement_prediction ON measurement (prediction);
CREATE INDEX result_verdict ON result (run, verdict);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('run',2);
COMMIT;
